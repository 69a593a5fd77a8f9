"""Which media types stand for pixel data of which transfer syntax (PS3.18 8.7.3.3). Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.dataset.header import EXPLICIT

OCTETS: Final = "application/octet-stream"

NATIVE: Final = frozenset(
    {
        "1.2.840.10008.1.2",  # Implicit VR Little Endian
        EXPLICIT,
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
        "1.2.840.113619.5.2",  # GE's private one: Implicit VR Little Endian but for pixel data
    }
)
"""Transfer syntaxes of data sets whose pixel data are not encapsulated."""

_JPEG: Final = ("50", "51", "53", "55", "57", "70")
_JLS: Final = ("80", "81")
_JP2: Final = ("90", "91")
_JPX: Final = ("92", "93")
_JXL: Final = ("110", "111", "112")
_JPHC: Final = ("201", "202", "203")
_MPEG2: Final = ("100", "100.1", "101", "101.1")
_MP4: Final = ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1")
_HEVC: Final = ("107", "108")

MEDIA_TYPES: Final[dict[str, str]] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **{
        f"1.2.840.10008.1.2.4.{end}": media_type
        for ends, media_type in (
            (_JPEG, "image/jpeg"),
            (_JLS, "image/jls"),
            (_JP2, "image/jp2"),
            (_JPX, "image/jpx"),
            (_JXL, "image/jxl"),
            (_JPHC, "image/jphc"),
            (_MPEG2, "video/mpeg"),
            (_MP4, "video/mp4"),
            (_HEVC, "video/H265"),
        )
        for end in ends
    },
}
"""Transfer syntax of encapsulated pixel data → its own media type (table 8.7.3-5)."""


PROGRESSIVE: Final = "1.2.840.10008.1.2.4.202"
"""HTJ2K with RPCL options, which frames are coded in for clients that ask for it."""


def is_video(transfer_syntax: str) -> bool:
    """Whether the pixel data are one stream that cannot be taken apart into frames."""
    return MEDIA_TYPES.get(transfer_syntax, "").startswith("video/")


def bulk_syntax(transfer_syntax: str) -> str:
    """The transfer syntax that pixel data are in once they are out of a data set of this one: all
    uncompressed bulk data is little endian (PS3.18 8.7.3.3.1)."""
    return EXPLICIT if transfer_syntax in NATIVE else transfer_syntax
