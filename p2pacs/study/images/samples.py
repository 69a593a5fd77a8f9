"""The bytes of a native frame as the array that a codec sees, and back (PS3.5 8.1.1).

Nothing here believes Bits Stored: the bits above it hold overlays or garbage in real
data, so values are taken over all allocated bits and the depth is what they need.
"""

from __future__ import annotations

from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from p2pacs.errors import CodingError
from p2pacs.study.images import Shape
from p2pacs.study.images.form import Form

Pixels = NDArray[np.unsignedinteger[Any]]
"""(rows, columns) or (rows, columns, 3), of 8 or 16 bits, in the machine's order of bytes."""

_FAR: Final = 2.0**24
"""Windows reach no further than this, so that they fit the frame header."""


def levelled(plain: bytes, shape: Shape) -> tuple[Pixels, Form]:
    """A frame's values less their minimum, as few bits wide as they need.

    Args:
        plain: the frame; exactly ``shape.size`` bytes.
        shape: how its samples lie.
    """
    values = _values(plain, shape)
    low, high = int(values.min()), int(values.max())
    offset = low & ((1 << shape.bits) - 1)
    unsigned: NDArray[Any] = values.view(np.uint16 if shape.bits == 16 else np.uint8)
    if offset:
        unsigned = unsigned - unsigned.dtype.type(offset)  # modulo 2^bits
    if high - low < 256:
        unsigned = unsigned.astype(np.uint8, copy=False)
    window = _window(shape, low, high)
    form = Form(
        rows=shape.rows,
        columns=shape.columns,
        samples=shape.samples,
        bits=shape.bits,
        planar=shape.planar,
        big_endian=shape.big_endian,
        inverted=shape.photometric == "MONOCHROME1",
        ybr=shape.photometric == "YBR_FULL",
        offset=offset,
        low=window[0],
        high=window[1],
        check=imagecodecs.zlibng_crc32(plain),
    )
    if shape.planar:
        planes = unsigned.reshape(shape.samples, shape.rows, shape.columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0)), form
    return unsigned.reshape(form.shape), form


def _values(plain: bytes, shape: Shape) -> NDArray[Any]:
    kind = "i" if shape.signed else "u"
    if shape.bits == 8:
        return np.frombuffer(plain, f"{kind}1")
    stored = np.frombuffer(plain, f"{'>' if shape.big_endian else '<'}{kind}2")
    return stored.astype(f"={kind}2", copy=False)


def _window(shape: Shape, low: int, high: int) -> tuple[int, int]:
    """What of the levelled values to show; (0, 0) where the header does not say.

    The linear window is that of PS3.3 C.11.2.1.2.1. Colours, and bytes without a window,
    are shown as they are.
    """
    if shape.window is not None:
        centre, width = shape.window
        ends = (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    elif shape.bits == 8:
        ends = (-128.0, 127.0) if shape.signed else (0.0, 255.0)
    elif shape.samples == 3:
        ends = (0.0, float(high))
    else:
        return 0, 0
    black, white = (round(min(max(end, -_FAR), _FAR)) - low for end in ends)
    return black, white


def restored(pixels: Pixels, form: Form) -> bytes:
    """The bytes of the frame that `levelled` was given, whatever its minimum was.

    Raises:
        CodingError: they are others.
    """
    unsigned: NDArray[Any] = pixels
    if form.planar:
        unsigned = np.ascontiguousarray(unsigned.transpose(2, 0, 1))
    if form.bits == 16:
        unsigned = unsigned.astype(np.uint16, copy=False)
    if form.offset:
        unsigned = unsigned + unsigned.dtype.type(form.offset)  # modulo 2^bits
    if form.bits == 16:
        unsigned = unsigned.astype(">u2" if form.big_endian else "<u2", copy=False)
    plain = unsigned.tobytes()
    if imagecodecs.zlibng_crc32(plain) != form.check:
        raise CodingError("a coded frame decodes to other than was coded")
    return plain
