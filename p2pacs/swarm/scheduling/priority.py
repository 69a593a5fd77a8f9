"""How urgent a transfer is."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Who is served first. As long as one class wants chunks of a line, lower ones wait."""

    BACKGROUND = 0
    """Copies that nobody waits for: a replica that fills its cache."""
    PREFETCH = 1
    """What somebody will probably look at soon."""
    INTERACTIVE = 2
    """Somebody waits."""
    STAT = 3
    """An emergency: before everything else (DICOM calls urgent requests STAT, PS3.3 C.4.11)."""

    @classmethod
    def named(cls, name: str) -> Priority:
        """The class with this name, in any case of letters.

        Raises:
            ValueError: there is none; the text says which there are.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            names = ", ".join(one.name.lower() for one in reversed(cls))
            raise ValueError(f"{name!r} is no priority: it is one of {names}") from None
