"""Notes of what was written and is not confirmed yet: what a killed process need not fetch again.

A note is 48 bytes: the chunk's number (4 bytes, big-endian, as all), its size (4), where it lies
in the study's file (8), and its id (32). Notes are never made durable and never believed: each
is held against the bytes that it names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from p2pacs.ids import ChunkId
from p2pacs.limits import CHUNK_BYTES, STUDY_CHUNKS
from p2pacs.store.extents import Extent

_NOTE: Final = struct.Struct(">IIQ32s")

NOTE_BYTES: Final = _NOTE.size


def pack(chunks: Iterable[tuple[int, Extent]]) -> bytes:
    """Notes of these chunks (number, where it lies), in this order."""
    return b"".join(
        _NOTE.pack(number, place.size, place.offset, bytes(place.id)) for number, place in chunks
    )


def unpack(raw: bytes) -> Iterator[tuple[int, Extent]]:
    """The notes that can be true; one that was not written whole ends them."""
    whole = len(raw) - len(raw) % NOTE_BYTES
    for number, size, offset, ident in _NOTE.iter_unpack(raw[:whole]):
        if number < STUDY_CHUNKS and 0 < size <= CHUNK_BYTES:
            yield number, Extent(offset, size, ChunkId(ident))
