"""What a header says of how its frames are shown (PS3.3 C.7.6.3, C.11), without believing it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from attrs import field, frozen
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.dataset.header import Header
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import BrokenInstanceError
from p2pacs.rendering.options import VoiFunction, VoiWindow, is_finite

T = TypeVar("T")

_FUNCTIONS: Final = {
    "LINEAR": VoiFunction.LINEAR,
    "LINEAR_EXACT": VoiFunction.LINEAR_EXACT,
    "SIGMOID": VoiFunction.SIGMOID,
}

_LUT_ENTRIES: Final = 65_536


@frozen
class LookupTable:
    """A table of values (PS3.3 C.11.1.1.1)."""

    first: int
    """The value that the first entry is for; those below have it, too."""
    entries: tuple[int, ...] = field(repr=False)
    bits: int
    """How wide an entry is."""


@frozen
class ImageDescription:
    """How the samples of one native frame lie, and what they stand for."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    planar: bool
    photometric: str
    slope: float = 1.0
    intercept: float = 0.0
    modality: LookupTable | None = None
    """Instead of slope and intercept."""
    window: VoiWindow | None = None
    voi: LookupTable | None = None
    """Where there is no window."""
    padding: tuple[int, int] | None = None
    """Stored values, from and to, that are no part of the image."""
    inverted: bool = False
    palette: tuple[LookupTable, LookupTable, LookupTable] | None = field(default=None, repr=False)


def describe(header: Header, frame: int) -> ImageDescription:
    """What a header says of a frame.

    Args:
        header: of the data set.
        frame: from 0: in enhanced images each has functional groups of its own.

    Raises:
        BrokenInstanceError: it does not describe an image.
    """
    data, little = header.elements, header.little_endian
    signed = _int(data, "PixelRepresentation") == 1
    stored = _int(data, "BitsStored") or _int(data, "BitsAllocated")
    photometric = str(_get(data, "PhotometricInterpretation") or "MONOCHROME2").strip()
    groups = list(_groups(data, frame))
    rescale = _first(groups, "PixelValueTransformationSequence", "RescaleSlope") or data
    window = _first(groups, "FrameVOILUTSequence", "WindowCenter") or data
    slope, intercept = _float(rescale, "RescaleSlope", 1.0), _float(rescale, "RescaleIntercept", 0)
    try:
        found = ImageDescription(
            rows=_int(data, "Rows"),
            columns=_int(data, "Columns"),
            samples=_int(data, "SamplesPerPixel") or 1,
            allocated=_int(data, "BitsAllocated"),
            stored=stored,
            high=_int(data, "HighBit") or stored - 1,
            signed=signed,
            planar=_int(data, "PlanarConfiguration") == 1,
            photometric=photometric,
            slope=slope or 1.0,
            intercept=intercept,
            modality=_table(data, "ModalityLUTSequence", little=little, signed=signed),
            window=_window(window),
            voi=_table(data, "VOILUTSequence", little=little, signed=signed),
            padding=_padding(data, little=little, signed=signed),
            inverted=photometric == "MONOCHROME1"
            or str(_get(data, "PresentationLUTShape") or "").strip() == "INVERSE",
            palette=_palette(data, little=little) if photometric == "PALETTE COLOR" else None,
        )
    except UNREADABLE as error:
        raise BrokenInstanceError("an instance does not say what its image is like") from error
    if not (found.rows > 0 and found.columns > 0 and 0 < stored <= found.allocated <= 64):
        raise BrokenInstanceError("an instance does not say what its image is like")
    if not found.stored - 1 <= found.high < found.allocated:
        raise BrokenInstanceError("an instance has an impossible High Bit")
    return found


def _get(data: Dataset, keyword: str) -> Any:
    try:
        return data.get(keyword)
    except UNREADABLE:
        return None


def _int(data: Dataset, keyword: str) -> int:
    value = _get(data, keyword)
    return _or(0, lambda: int(value or 0))


def _float(data: Dataset, keyword: str, absent: float) -> float:
    value = _get(data, keyword)
    found = _or(absent, lambda: absent if value in (None, "") else float(value))
    return found if is_finite(found) else absent


def _or(absent: T, read: Callable[[], T]) -> T:
    try:
        return read()
    except UNREADABLE:
        return absent


def _groups(data: Dataset, frame: int) -> Iterator[Dataset]:
    """Functional groups of a frame, then those that all share (PS3.3 C.7.6.16)."""
    for keyword, place in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = _get(data, keyword)
        if isinstance(items, Sequence) and place < len(items):
            yield items[place]


def _first(groups: list[Dataset], sequence: str, keyword: str) -> Dataset | None:
    for group in groups:
        items = _get(group, sequence)
        if isinstance(items, Sequence) and items and _get(items[0], keyword) is not None:
            item: Dataset = items[0]
            return item
    return None


def _window(data: Dataset) -> VoiWindow | None:
    """The first of those that the data set has."""
    ends = [_get(data, keyword) for keyword in ("WindowCenter", "WindowWidth")]
    ends = [end if isinstance(end, str | int | float) or end is None else end[0] for end in ends]
    try:
        centre, width = map(float, ends)
    except UNREADABLE:
        return None
    function = _FUNCTIONS.get(str(_get(data, "VOILUTFunction") or "LINEAR").strip())
    least = 1.0 if function is VoiFunction.LINEAR else 1e-9
    if function is None or not is_finite(centre, width) or width < least:
        return None
    return VoiWindow(centre, width, function)


def _words(value: Any, *, little: bool) -> list[int]:
    """Words of 16 bits; where a data set does not say which VR they have, they are bytes still."""
    if isinstance(value, bytes):
        order = "<" if little else ">"
        return list(struct.unpack(f"{order}{len(value) // 2}H", value[: len(value) // 2 * 2]))
    many = value if hasattr(value, "__iter__") else [value]
    return [int(number) & 0xFFFF for number in many]


def _as_signed(word: int, *, signed: bool) -> int:
    return word - 0x10000 if signed and word > 0x7FFF else word


def _padding(data: Dataset, *, little: bool, signed: bool) -> tuple[int, int] | None:
    value, limit = (_get(data, f"PixelPadding{kind}") for kind in ("Value", "RangeLimit"))
    if value is None:
        return None
    ends = [value, value if limit is None else limit]
    try:
        found = [_as_signed(_words(end, little=little)[0], signed=signed) for end in ends]
    except UNREADABLE:
        return None
    return min(found), max(found)


def _table(data: Dataset, keyword: str, *, little: bool, signed: bool) -> LookupTable | None:
    items = _get(data, keyword)
    if not isinstance(items, Sequence) or not items:
        return None
    return _or(
        None, lambda: _lut(items[0], "LUTDescriptor", "LUTData", little=little, signed=signed)
    )


def _palette(data: Dataset, *, little: bool) -> tuple[LookupTable, LookupTable, LookupTable] | None:
    name = "PaletteColorLookupTable"
    try:
        red, green, blue = (
            _lut(
                data,
                f"{colour}{name}Descriptor",
                f"{colour}{name}Data",
                little=little,
                signed=False,
            )
            for colour in ("Red", "Green", "Blue")
        )
    except UNREADABLE:
        return None
    return None if red is None or green is None or blue is None else (red, green, blue)


def _lut(
    data: Dataset, descriptor: str, entries: str, *, little: bool, signed: bool
) -> LookupTable | None:
    count, first, bits = _words(data[descriptor].value, little=little)
    count = count or _LUT_ENTRIES  # PS3.3 C.11.1.1: what 16 bits cannot hold
    raw = data[entries].value
    if isinstance(raw, bytes) and len(raw) in (count, count + count % 2):
        found = list(raw)  # a byte an entry
    else:
        found = _words(raw, little=little)
    if not 0 < bits <= 16 or len(found) < count:
        return None
    return LookupTable(_as_signed(first, signed=signed), tuple(found[:count]), bits)
