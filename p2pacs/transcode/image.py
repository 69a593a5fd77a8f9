"""The image that a data set describes (PS3.3 C.7.6.3), before anything of it is decoded."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.errors import TranscodingError
from p2pacs.limits import DECODED_FRAME_BYTES, TRANSCODED_BYTES
from p2pacs.transcode.elements import PIXEL_DATA, SequenceItem, number_of
from p2pacs.transcode.rewriting import ElementChanges, NewValue

_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_ALLOCATED: Final = 0x00280100
_STORED: Final = 0x00280101
_HIGH: Final = 0x00280102
_REPRESENTATION: Final = 0x00280103

_OFFSETS: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)
"""Extended Offset Table, its lengths, and the length of the encapsulated value: of fragments that
are no more (PS3.3 C.7.6.3.1.8)."""

_TEXT_BYTES: Final = 64


@frozen
class Image:
    """How the samples of native frames lie that are to be made."""

    rows: int
    columns: int
    samples: int
    """1 or 3."""
    allocated: int
    """Bits: 8, 16, 32 or 64."""
    stored: int
    signed: bool
    photometric: str
    frames: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return self.allocated // 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of a native frame."""
        return self.rows * self.columns * self.samples * self.sample_bytes


def read_image(data: bytes, item: SequenceItem, *, nested: bool) -> Image:
    """What an item says of its pixel data.

    Args:
        data: the data set.
        item: of it, or it itself.
        nested: it is an icon (PS3.3 C.7.6.1.1.6): one frame.

    Raises:
        TranscodingError: an attribute is missing or impossible, or there is too much of it.
    """
    stored = _number(data, item, _STORED, "Bits Stored")
    image = Image(
        rows=_number(data, item, _ROWS, "Rows"),
        columns=_number(data, item, _COLUMNS, "Columns"),
        samples=_number(data, item, _SAMPLES, "Samples per Pixel"),
        allocated=_number(data, item, _ALLOCATED, "Bits Allocated"),
        stored=stored,
        signed=number_of(data, item, _REPRESENTATION) == 1,
        photometric=_text(data, item, _PHOTOMETRIC),
        frames=1 if nested else _frames(data, item),
    )
    if image.samples not in (1, 3) or image.allocated not in (8, 16, 32, 64):
        raise TranscodingError(f"{image.samples} samples of {image.allocated} bits a pixel")
    if not 0 < image.stored <= image.allocated:
        raise TranscodingError("its Bits Stored do not fit into Bits Allocated")
    if number_of(data, item, _HIGH) != stored - 1:
        raise TranscodingError("its High Bit is not that of Bits Stored")
    if not 0 < image.frame_bytes <= DECODED_FRAME_BYTES:
        raise TranscodingError("a frame would be empty or too large")
    if not 0 < image.frames * image.frame_bytes <= TRANSCODED_BYTES:
        raise TranscodingError("its frames would be too many to be converted")
    return image


def native_changes(
    data: bytes,
    item: SequenceItem,
    image: Image,
    pixels: bytes | bytearray,
    photometric: str | None,
) -> ElementChanges:
    """What differs in an item whose pixel data are native now.

    Args:
        data: the data set.
        item: with encapsulated pixel data.
        image: as `read_image` has it.
        pixels: native frames; of an even length.
        photometric: Photometric Interpretation of them, whose samples are together now; None
            where frames are as they were before they were encapsulated.
    """
    changes: dict[int, NewValue | None] = dict.fromkeys(_OFFSETS)
    if photometric is not None and photometric != image.photometric:
        value = photometric.encode()
        changes[_PHOTOMETRIC] = NewValue("CS", value + b" " * (len(value) % 2))
    if photometric is not None and image.samples == 3 and number_of(data, item, _PLANAR) != 0:
        changes[_PLANAR] = NewValue("US", bytes(2))
    changes[PIXEL_DATA] = NewValue("OW" if image.allocated > 8 else "OB", pixels)
    return changes


def value_of(data: bytes, item: SequenceItem, tag: int) -> bytes:
    """The bytes of an element; none where it is not there."""
    element = item.find(tag)
    return b"" if element is None else data[element.value : element.value_end]


def _number(data: bytes, item: SequenceItem, tag: int, name: str) -> int:
    number = number_of(data, item, tag)
    if number is None:
        raise TranscodingError(f"it does not say its {name}")
    return number


def _frames(data: bytes, item: SequenceItem) -> int:
    said = _text(data, item, _FRAMES)
    if not said:
        return 1
    if not said.isdecimal():
        raise TranscodingError("its Number of Frames is none")
    return int(said)


def _text(data: bytes, item: SequenceItem, tag: int) -> str:
    return value_of(data, item, tag)[:_TEXT_BYTES].decode("latin-1").strip(" \0")
