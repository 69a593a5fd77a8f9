"""Value representations (PS3.5 6.2, 7.1): lengths, byte order, and those that are not told."""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VR

LONG: Final = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905
"""In Explicit VR their length has four bytes (PS3.5 7.1.2)."""

SHORT: Final = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
"""... and that of these two."""

SHORT_BYTES: Final = 0xFFFE
"""The longest value of a VR whose length has two bytes. Longer ones are written as UN (PS3.5
6.2.2, note 5)."""

_WIDTHS: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_CODES: Final = {2: "H", 4: "I", 8: "Q"}

_PIXEL_DATA: Final = 0x7FE00010


def swapped(vr: str, value: bytes) -> bytes:
    """A value in the other byte order (PS3.5 7.3)."""
    width = _WIDTHS.get(vr, 1)
    if width == 1:
        return value
    whole = len(value) // width * width  # what is left of a value that has no proper length stays
    numbers = array(_CODES[width], value[:whole])
    numbers.byteswap()
    return numbers.tobytes() + value[whole:]


def implied_vr(tag: int, *, signed: bool, wide: bool) -> str:
    """The VR of an element in Implicit VR (PS3.5 A.1); UN where nobody knows.

    Args:
        tag: of the element.
        signed: Pixel Representation of the image that it belongs to.
        wide: whether that has more than 8 bits a sample.
    """
    vr = _dictionary(tag)
    if len(vr) == 2:
        return vr
    if vr == "US or SS":
        return "SS" if signed else "US"
    # OW is always right in what had OW in Implicit VR; of bytes the pixel data alone may be OB.
    return "OB" if tag == _PIXEL_DATA and not wide else "OW"


@lru_cache(maxsize=16_384)
def _dictionary(tag: int) -> str:
    group, number = tag >> 16, tag & 0xFFFF
    if number == 0:
        return "UL"
    if group % 2:
        # What a private creator reserves (PS3.5 7.8.1); its elements are known to it alone.
        return "LO" if 0x10 <= number <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
