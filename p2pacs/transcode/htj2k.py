"""Native frames as HTJ2K with RPCL options (1.2.840.10008.1.2.4.202, PS3.5 8.2.14): a beginning
of the codestream is a smaller image, so a viewer shows something before all of it is there."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt

from p2pacs.errors import NotAcceptableError, TranscodingError
from p2pacs.limits import DECODED_FRAME_BYTES
from p2pacs.transcode.image import Image

Pixels: TypeAlias = npt.NDArray[Any]

_HALVINGS: Final = 5
"""What halves an image of 2,048 rows to 64, as the transfer syntax wants."""

_FAILURES: Final = (MemoryError, RuntimeError, ValueError)
"""What imagecodecs raises."""


def encode_htj2k(frame: bytes, image: Image, *, planar: bool) -> bytes:
    """The codestream of a frame, without loss: all of its allocated bits, no colours changed.

    Args:
        frame: native, little endian.
        image: how its samples lie.
        planar: whether colours lie in planes one after the other.

    Raises:
        NotAcceptableError: it is of a kind that HTJ2K is not made of here.
        TranscodingError: it is shorter than it should be, or does not come out exact.
    """
    if image.allocated not in (8, 16) or image.samples not in (1, 3):
        raise NotAcceptableError("HTJ2K is made of samples of 8 and 16 bits: take it as it is")
    if "42" in image.photometric:  # YBR_FULL_422: two colours for two pixels
        raise NotAcceptableError("HTJ2K is not made of subsampled colours: take it as it is")
    if not 0 < image.frame_bytes <= DECODED_FRAME_BYTES or len(frame) < image.frame_bytes:
        raise TranscodingError("a frame is not as long as its rows and columns")
    kind = f"<{'i' if image.signed else 'u'}{image.sample_bytes}"
    count = image.rows * image.columns * image.samples
    pixels = _laid_out(np.frombuffer(frame, kind, count), image, planar=planar)
    try:
        coded = bytes(
            imagecodecs.htj2k_encode(
                pixels,
                resolutions=_HALVINGS,
                reversible=True,
                rgb=False if image.samples > 1 else None,
                tlm=True,
                tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
            )
        )
        again = imagecodecs.htj2k_decode(coded, planar=False)
    except _FAILURES as error:
        raise TranscodingError("a frame could not be coded as HTJ2K") from error
    if not np.array_equal(again, pixels):
        raise TranscodingError("a frame did not come out of HTJ2K as it went in")
    return coded


def _laid_out(samples: Pixels, image: Image, *, planar: bool) -> Pixels:
    """(rows, columns), or (rows, columns, samples)."""
    if image.samples == 1:
        return samples.reshape(image.rows, image.columns)
    if not planar:
        return samples.reshape(image.rows, image.columns, image.samples)
    planes = samples.reshape(image.samples, image.rows, image.columns)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))
