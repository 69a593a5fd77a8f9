"""Data sets written in every encoding by a few lines that know nothing of the code under test."""

import struct

import numpy as np
from attrs import frozen
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
WIDTHS = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
END = 0xFFFFFFFF


@frozen
class Items:
    """The value of a sequence."""

    items: tuple[tuple[bool, tuple["Made", ...]], ...]
    """Whether its length is undefined, and its elements."""
    undefined: bool


@frozen
class Made:
    """An element, its value in little endian."""

    tag: int
    vr: str
    value: bytes | Items


def encode(elements: tuple[Made, ...], *, implicit: bool = False, little: bool = True) -> bytes:
    order = "<" if little else ">"

    def head(tag: int, vr: str, length: int) -> bytes:
        start = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if implicit or vr == "":
            return start + struct.pack(order + "I", length)
        if vr in LONG:
            return start + vr.encode() + b"\0\0" + struct.pack(order + "I", length)
        return start + vr.encode() + struct.pack(order + "H", length)

    def value_of(made: Made) -> tuple[int, bytes]:
        if isinstance(made.value, bytes):
            value = made.value
            if not little and (width := WIDTHS.get(made.vr)):
                value = np.frombuffer(value, f"u{width}").byteswap().tobytes()
            return len(value), value
        inner = b""
        for undefined, nested in made.value.items:
            item = encode(nested, implicit=implicit, little=little)
            inner += head(0xFFFEE000, "", END if undefined else len(item)) + item
            inner += head(0xFFFEE00D, "", 0) if undefined else b""
        if made.value.undefined:
            return END, inner + head(0xFFFEE0DD, "", 0)
        return len(inner), inner

    written = b""
    for made in elements:
        length, value = value_of(made)
        written += head(made.tag, made.vr, length) + value
    return written


PUBLIC = sorted(
    (tag, entry[0])
    for tag, entry in DicomDictionary.items()
    if len(entry[0]) == 2 and entry[0] not in ("SQ", "UN") and 0x00080000 < tag < 0x7FE00000
    if tag not in (0x00280100, 0x00280103)
)
SEQUENCES = sorted(
    tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ" and tag < 0x7FE00000
)


@st.composite
def values(draw: st.DrawFn, vr: str) -> bytes:
    width = WIDTHS.get(vr, 1)
    count = draw(st.integers(0, 40))
    return draw(st.binary(min_size=count * width, max_size=count * width))


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> tuple[Made, ...]:
    found: dict[int, Made] = {}
    for tag, vr in draw(st.lists(st.sampled_from(PUBLIC), max_size=5)):
        found[tag] = Made(tag, vr, draw(values(vr)))
    for number in draw(st.lists(st.integers(0x1001, 0x10FF), max_size=2)):
        found[0x00090000 | number] = Made(0x00090000 | number, "UN", draw(st.binary(max_size=30)))
        found[0x00090010] = Made(0x00090010, "LO", b"SOMEBODY")
    for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2)) if depth else ():
        items = draw(st.lists(st.tuples(st.booleans(), elements(depth - 1)), max_size=3))
        found[tag] = Made(tag, "SQ", Items(tuple(items), draw(st.booleans())))
    return tuple(found[tag] for tag in sorted(found))
