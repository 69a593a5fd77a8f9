"""The viewport of somebody who looks at a study: which chunks come first, and for whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

from p2pacs.bitfield import Bitfield

LOOK_PART: Final = 9
"""While somebody looks at a study, the next ninth of what they look at comes first ..."""

LOOK_CHUNKS: Final = 16
"""... at least so many chunks, the rarest of them first."""


class Viewport:
    """The order in which somebody looks at chunks, and how far they have come.

    The window begins with the first chunk that is missing and does not move on before that one
    is here: a chunk of it may come later than others, but not for ever.
    """

    def __init__(self) -> None:
        self.window: set[int] = set()
        """Chunks that come before others now."""
        self._order: list[int] = []
        self._first = 0
        """Of what is missing."""
        self._next = 0
        """Beyond the window."""

    def look(self, numbers: Iterable[int]) -> None:
        """From now on these, in this order; what was looked at before no longer counts."""
        self._order = list(dict.fromkeys(numbers))
        self._first = self._next = 0
        self.window.clear()

    def slide(self, have: Bitfield, total: int) -> Iterator[int]:
        """Let the next chunks move up, as far as earlier ones are here; those that did.

        Args:
            have: What is here.
            total: Chunks of the study.
        """
        while self._first < self._next and self._order[self._first] in have:
            self._first += 1
        end = self._first + max(LOOK_CHUNKS, total // LOOK_PART)
        while self._next < min(end, len(self._order)):
            number = self._order[self._next]
            self._next += 1
            if number not in have:
                self.window.add(number)
                yield number


def first_of(number: int, members: Iterable[bytes]) -> bytes:
    """Which of these members fetches a chunk before the others do, and passes it on.

    Members that look at the same study together want the same few chunks, so all would ask the
    origins for the same. All find the same answer without a word (highest random weight: Thaler
    and Ravishankar, 1998).
    """
    raw = number.to_bytes(4, "big")
    return max(members, key=lambda member: blake2b(member + raw, digest_size=8).digest())
