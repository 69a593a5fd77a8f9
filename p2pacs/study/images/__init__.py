"""Coding native frames as images, without loss; the only importer of imagecodecs.

What others see of it is here and light: the codecs are imported with `frames`
(`FrameCoder`, `decode_frame`), `picture` (`picture`) and `shape` (`shape_of`), which a
process that never codes an image need not load.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import field, frozen

JXL: Final = 3
"""Codec number of a frame, or of a preview, as JPEG XL (ISO/IEC 18181-1)."""

HTJ2K: Final = 4
"""Codec number of a frame as high-throughput JPEG 2000 (ISO/IEC 15444-15), or of its first part."""

HTJ2K_NEXT: Final = 5
"""Codec number of a further part of the HTJ2K frame before it."""


PICTURES: Final = frozenset({JXL, HTJ2K})
"""Codecs that `p2pacs.study.images.picture` makes a picture of."""


class Coding(StrEnum):
    """What a site wants of the coding of its images; both are without loss."""

    SMALLEST = "smallest"
    """JPEG XL, and a small lossy preview beside every frame."""
    PROGRESSIVE = "progressive"
    """HTJ2K by resolution: a frame's beginning is a smaller image of it."""


@frozen
class Shape:
    """How the samples of a native frame lie (PS3.3 C.7.6.3, PS3.5 8.1.1), and what to show of it.

    Frames of equal shapes are likely to code alike.
    """

    rows: int
    columns: int
    samples: int
    """1 or 3."""
    bits: int
    """Bits allocated: 8 or 16."""
    planar: bool = False
    """Planes follow each other, where there are three samples."""
    big_endian: bool = False
    signed: bool = False
    window: tuple[float, float] | None = None
    """Centre and width in stored values, for showing; None: to be found from the values."""
    photometric: str = "MONOCHROME2"
    """Photometric Interpretation, for showing only."""

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return self.rows * self.columns * self.samples * (self.bits // 8)


@frozen
class CodedFrame:
    """A frame coded without loss, decoded again and compared."""

    codec: int | None
    """Of the first part; further parts are `HTJ2K_NEXT`. None: it stays as it is, with a preview
    and without parts."""
    parts: tuple[tuple[int, bytes], ...] = field(repr=False)
    """(Level that it completes, coded bytes), coarsest first, level 0 last: JPEG XL has one."""
    preview: tuple[int, bytes, int] | None = field(default=None, repr=False)
    """(Level, coded with codec `JXL`, decoded size); None where it is not worth it."""

    @property
    def coded(self) -> bytes:
        """The whole coded frame: its parts in order."""
        return b"".join(part for _, part in self.parts)


@frozen
class Picture:
    """An image to look at, never to diagnose from: 8 bits, samples of a pixel together."""

    rows: int
    columns: int
    samples: int
    """1 (black is 0) or 3 (red, green, blue)."""
    pixels: bytes = field(repr=False)
