"""Where the chunks of a study lie in its file: packed, 44 bytes a chunk."""

from __future__ import annotations

from array import array
from typing import Final

from attrs import frozen

from p2pacs.ids import ChunkId

_ABSENT: Final = 0
"""Size of a chunk that is not there: no chunk is empty."""


@frozen
class Extent:
    """One chunk in the file of its study."""

    offset: int
    size: int
    id: ChunkId


class Extents:
    """Chunk number → where it lies.

    One thread changes it; others may look up at the same time: the size, written last
    and cleared first, says whether the rest is valid.
    """

    def __init__(self) -> None:
        self._offset = array("Q")
        self._size = array("I")
        self._ids = bytearray()

    def get(self, number: int) -> Extent | None:
        """Where the chunk of this number lies, if it is here."""
        if not 0 <= number < len(self._size) or self._size[number] == _ABSENT:
            return None
        ident = ChunkId(bytes(self._ids[32 * number : 32 * number + 32]))
        return Extent(self._offset[number], self._size[number], ident)

    def set(self, number: int, extent: Extent) -> None:
        """Note where a chunk lies."""
        missing = number + 1 - len(self._size)
        if missing > 0:
            self._offset.frombytes(bytes(8 * missing))
            self._ids.extend(bytes(32 * missing))
            self._size.frombytes(bytes(4 * missing))
        self._offset[number] = extent.offset
        self._ids[32 * number : 32 * number + 32] = bytes(extent.id)
        self._size[number] = extent.size

    def discard(self, number: int) -> None:
        """Forget a chunk."""
        if 0 <= number < len(self._size):
            self._size[number] = _ABSENT
