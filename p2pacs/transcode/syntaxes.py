"""What the transfer syntaxes are (PS3.5 10, A): how data sets and frames are encoded in them."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import frozen
from pydicom import uid

from p2pacs.dataset.header import DEFLATED, EXPLICIT


class FrameCoding(Enum):
    """How the frames of a data set are coded, where they can be decoded."""

    JPEG = auto()
    """DCT, of 8 or 12 bits (ISO/IEC 10918-1)."""
    JPEG_LOSSLESS = auto()
    """Process 14, any selection value."""
    JPEG_LS = auto()
    """Lossless and near-lossless (ISO/IEC 14495-1)."""
    J2K = auto()
    """JPEG 2000, reversible or not (ISO/IEC 15444-1)."""
    HTJ2K = auto()
    """High-throughput JPEG 2000 (ISO/IEC 15444-15)."""
    JPEG_XL = auto()
    """ISO/IEC 18181-1."""
    JPEG_IN_XL = auto()
    """A JPEG that JPEG XL gives back byte for byte."""
    RLE = auto()
    """PS3.5 G."""
    DEFLATED = auto()
    """A native frame, deflated (RFC 1951)."""
    RAW = auto()
    """A native frame in a fragment of its own."""


@frozen
class Encoding:
    """How the elements of a data set are encoded."""

    implicit: bool = False
    little: bool = True


IMPLICIT_LITTLE: Final = str(uid.ImplicitVRLittleEndian)

TARGETS: Final = (EXPLICIT, IMPLICIT_LITTLE)
"""What is made, the better one first: Implicit VR forgets the VR of private elements."""

_NATIVE: Final = {
    EXPLICIT: Encoding(),
    IMPLICIT_LITTLE: Encoding(implicit=True),
    DEFLATED: Encoding(),
    str(uid.ExplicitVRBigEndian): Encoding(little=False),
}

_FRAMES: Final = {
    "1.2.840.10008.1.2.1.98": FrameCoding.RAW,
    "1.2.840.10008.1.2.4.50": FrameCoding.JPEG,
    "1.2.840.10008.1.2.4.51": FrameCoding.JPEG,
    "1.2.840.10008.1.2.4.57": FrameCoding.JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.70": FrameCoding.JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.80": FrameCoding.JPEG_LS,
    "1.2.840.10008.1.2.4.81": FrameCoding.JPEG_LS,
    "1.2.840.10008.1.2.4.90": FrameCoding.J2K,
    "1.2.840.10008.1.2.4.91": FrameCoding.J2K,
    "1.2.840.10008.1.2.4.110": FrameCoding.JPEG_XL,
    "1.2.840.10008.1.2.4.111": FrameCoding.JPEG_IN_XL,
    "1.2.840.10008.1.2.4.112": FrameCoding.JPEG_XL,
    "1.2.840.10008.1.2.4.201": FrameCoding.HTJ2K,
    "1.2.840.10008.1.2.4.202": FrameCoding.HTJ2K,
    "1.2.840.10008.1.2.4.203": FrameCoding.HTJ2K,
    "1.2.840.10008.1.2.5": FrameCoding.RLE,
    "1.2.840.10008.1.2.8.1": FrameCoding.DEFLATED,
}


def encoding_of(syntax: str) -> Encoding | None:
    """How data sets in a transfer syntax are encoded; None if they cannot be read here."""
    return Encoding() if syntax in _FRAMES else _NATIVE.get(syntax)


def coding_of(syntax: str) -> FrameCoding | None:
    """How frames are coded in a transfer syntax; None where they are native or not decoded here."""
    return _FRAMES.get(syntax)


def name_of(syntax: str) -> str:
    """The keyword of PS3.6, as names are too long for an Error Comment; else the UID."""
    return uid.UID(syntax).keyword or syntax
