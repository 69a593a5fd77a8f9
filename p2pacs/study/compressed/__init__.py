"""Frames that came compressed, made smaller, and back to the same bytes.

What others see of it is here and light: the codecs are imported with `frames`
(`CompressedCoder`, `decode_compressed`), which a process that never codes need not load.
"""

from __future__ import annotations

from typing import Final

JPEG_IN_XL: Final = 6
"""Codec number of a JPEG (DCT) as JPEG XL that gives it back (ISO/IEC 18181-2, jbrd)."""

JPEG_LOSSLESS: Final = 7
"""Codec number of a JPEG Lossless frame as its pixels and a recipe."""

RLE: Final = 8
"""Codec number of an RLE Lossless frame as its pixels and a recipe."""

COMPRESSED: Final = frozenset({JPEG_IN_XL, JPEG_LOSSLESS, RLE})
"""Codecs of frames that are compressed in the data set."""
