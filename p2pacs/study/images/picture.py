"""Pictures to look at, from a preview, a frame, or the part of a frame that is here."""

from __future__ import annotations

from typing import Final

import numpy as np

from p2pacs.errors import CodingError
from p2pacs.study.images import HTJ2K, JXL, Picture, htj2k, jxl, jxl_header
from p2pacs.study.images.form import FORM_BYTES, Form, read_form
from p2pacs.study.images.preview import shown
from p2pacs.study.images.samples import Pixels

PREVIEW_SIDE: Final = 256
"""The most rows or columns of a preview that is accepted."""


def picture(codec: int, coded: bytes) -> Picture:
    """A picture of a frame, never to be taken for its data.

    Args:
        codec: `JXL` or `HTJ2K`.
        coded: a preview, a whole coded frame, or the beginning of one of codec `HTJ2K`.

    Raises:
        CodingError: it does not decode within its bounds, or too little of it is here.
    """
    form = read_form(coded)
    stream = coded[FORM_BYTES:]
    if codec == JXL:
        pixels = _preview(stream, form) if form.lossy else jxl.decode(stream, form)
    elif codec == HTJ2K and not form.lossy:
        pixels = htj2k.decode_beginning(stream, form)
    else:
        raise CodingError(f"codec {codec} is not one for pictures")
    found = shown(pixels, form)
    return Picture(found.shape[0], found.shape[1], form.samples, found.tobytes())


def _preview(stream: bytes, form: Form) -> Pixels:
    """The pixels of a preview."""
    if max(form.rows, form.columns) > PREVIEW_SIDE or form.bits != 8:
        raise CodingError("a preview is larger than a preview may be")
    info = jxl_header.inspect(stream)
    if (info.rows, info.columns, info.samples) != (form.rows, form.columns, form.samples):
        raise CodingError("a preview has another size than its header says")
    pixels = jxl.decode_stream(stream) if info.bits == 8 else None
    if pixels is None or pixels.shape != form.shape or pixels.dtype != np.uint8:
        raise CodingError("a preview decodes to another image than it declares")
    return pixels
