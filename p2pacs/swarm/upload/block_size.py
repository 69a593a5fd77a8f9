"""Blocks: how much of a chunk goes at once, on a line of which rate. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.limits import CHUNK_BYTES, KIB

RECORD_DATA: Final = 16 * KIB - 64
"""Data of a block that fits, with its frame, in one TLS record (RFC 8446 5.1: 16 KiB)."""

BLOCK_SECONDS: Final = 0.17
"""A block takes at most this long on a slow line, so that urgent things wait no longer ..."""

FAST_BLOCK_SECONDS: Final = 0.02
"""... and on a fast one it has this much, up to a whole chunk, so that it costs little work."""

LEAST_BLOCK: Final = 2 * KIB
"""However slow the line is."""


def block_bytes(rate: float) -> int:
    """Data of a block at most, on a line of so many bytes a second."""
    slow = max(LEAST_BLOCK, min(RECORD_DATA, int(rate * BLOCK_SECONDS)))
    return max(slow, min(CHUNK_BYTES, int(rate * FAST_BLOCK_SECONDS)))


def cut(size: int, most: int) -> int:
    """Data of each block of a chunk: as few blocks as can be, of equal size."""
    blocks = max(1, -(-size // most))
    return -(-size // blocks)
