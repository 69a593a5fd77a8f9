"""Which colours a decoded frame has: what is told in two places must agree (pure).

Wrong colours look like right ones of another tissue, so nothing is guessed. Lossless codings keep
the samples that they have, YBR_FULL too; only what a codec has transformed becomes RGB.
"""

from __future__ import annotations

from typing import Final

from p2pacs.errors import TranscodingError
from p2pacs.transcode.codestreams import CodestreamInfo

_GREY: Final = frozenset(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"))
_AMBIGUOUS: Final = "its colours are ambiguous: {}"


def check_samples(photometric: str, samples: int) -> None:
    """Raise where so many samples have no such interpretation.

    Raises:
        TranscodingError: they have not.
    """
    if (samples == 1) != (photometric in _GREY):
        raise _ambiguous(f"{photometric or 'no interpretation'} of {samples} samples")


def jpeg_source(photometric: str, stream: CodestreamInfo) -> str:
    """What the three components of a DCT are: ``RGB`` or ``YCbCr``; the latter become RGB.

    JFIF, Adobe's marker and the names of the components tell it; where they do not, the header.
    Of "RGB" with JFIF the JFIF is right: encoders have converted, and left the header as it was.

    Raises:
        TranscodingError: they contradict each other.
    """
    told = set(stream.told)
    if stream.subsampled:
        told.add("YCbCr")  # nobody leaves out reds and blues
    is_ybr = photometric in ("YBR_FULL", "YBR_FULL_422")
    if photometric != "RGB" and not is_ybr:
        raise _ambiguous(f"{photometric} in a JPEG")
    if not told:
        return "YCbCr" if is_ybr else "RGB"
    if len(told) > 1 or told == {"other"}:
        raise _ambiguous("markers that contradict each other")
    (source,) = told
    if source == "RGB" and is_ybr:
        raise _ambiguous(f"{photometric}, but its markers say RGB")
    return source


def untransformed(photometric: str, stream: CodestreamInfo | None = None) -> str:
    """The interpretation of three samples that a codec gives back as it got them.

    Raises:
        TranscodingError: it is none of such, or markers say another.
    """
    if photometric not in ("RGB", "YBR_FULL"):
        raise _ambiguous(f"{photometric} without a transform")
    if stream is None:
        return photometric
    if stream.subsampled:
        raise _ambiguous("components of different sizes")
    if stream.told - {"YCbCr" if photometric == "YBR_FULL" else "RGB"}:
        raise _ambiguous(f"{photometric}, but its markers say another")
    return photometric


def j2k_result(photometric: str, stream: CodestreamInfo) -> str:
    """The interpretation of three samples that JPEG 2000 gives back.

    Raises:
        TranscodingError: the header and the codestream contradict each other.
    """
    if stream.subsampled:
        raise _ambiguous("components of different sizes")
    if not stream.transformed:
        return untransformed(photometric)
    if photometric not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise _ambiguous(f"{photometric}, but transformed from RGB")
    return "RGB"


def _ambiguous(how: str) -> TranscodingError:
    return TranscodingError(_AMBIGUOUS.format(how))
