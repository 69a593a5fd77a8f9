"""How much a member holds, as it says. Pure."""

from __future__ import annotations

from attrs import frozen


@frozen
class LastTold:
    """What a member said of itself before its last link ended."""

    at: int
    """When that was: milliseconds since 1970."""
    program: str
    """With its version."""
    studies: int
    """That it held or fetched."""


@frozen
class Holding:
    """What a member says that it holds, and what is known of its size."""

    studies: int = 0
    """That it holds or fetches."""
    whole: int = 0
    """Of these, the ones that it holds in whole."""
    bytes: int = 0
    """Of studies held in whole, as far as their size is known here."""
    unsized: int = 0
    """Studies that are not counted in ``bytes``."""

    def plus(self, *, whole: bool, size: int | None) -> Holding:
        """With one study more, of this size (None: not known)."""
        counted = size if whole else None
        return Holding(
            self.studies + 1,
            self.whole + whole,
            self.bytes + (counted or 0),
            self.unsized + (counted is None),
        )
