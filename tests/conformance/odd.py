"""Made-up instances as odd as they come: pixels and headers that lie, each by a name that says how.

Elements are written here byte by byte, so that a header can say what no library would write.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from p2pacs.dataset.instance import EncodedInstance

from .instances import make, recode

STUDY: Final = "1.2.826.0.1.77"
SIZE: Final = 96
"""Rows and columns unless said otherwise: enough for a preview and for resolutions."""

Header = dict[int, tuple[str, bytes]]
"""Tag → VR and value."""

_LONG: Final = frozenset({"OB", "OW", "OF", "OD", "UN", "SQ"})
"""VRs whose length has four bytes, in explicit encoding (PS3.5 7.1.2)."""

PIXELS: Final = 0x7FE00010
FLOAT: Final = 0x7FE00008
DOUBLE: Final = 0x7FE00009

_uids = count(1)


def element(tag: int, vr: str, value: bytes, syntax: str) -> bytes:
    """One data element, as long as its value is: odd lengths, too."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if syntax == ImplicitVRLittleEndian:
        return head + struct.pack("<I", len(value)) + value
    if vr in _LONG:
        return head + vr.encode() + struct.pack(f"{order}HI", 0, len(value)) + value
    return head + vr.encode() + struct.pack(f"{order}H", len(value)) + value


def instance(
    pixels: bytes,
    *,
    syntax: str = ExplicitVRLittleEndian,
    pixel_tag: int = PIXELS,
    vr: str = "OW",
    behind: bytes = b"",
    text: Mapping[int, tuple[str, str]] | None = None,
    **says: int | None,
) -> EncodedInstance:
    """An instance whose header says just this of its pixels.

    Args:
        pixels: the value of the pixel data.
        syntax: transfer syntax UID; native.
        pixel_tag: which kind of pixel data.
        vr: of the pixel data.
        behind: bytes behind the pixel data.
        text: further elements.
        says: US elements by their keys in `_SHORTS`; None leaves one out.
    """
    uid = f"{STUDY}.1.{next(_uids)}"
    texts = {
        0x00080016: ("UI", SecondaryCaptureImageStorage),
        0x00080018: ("UI", uid),
        0x00080020: ("DA", "20240131"),
        0x00080060: ("CS", "OT"),
        0x00100020: ("LO", f"P{STUDY}"),
        0x0020000D: ("UI", STUDY),
        0x0020000E: ("UI", f"{STUDY}.1"),
        0x00280004: ("CS", "MONOCHROME2"),
        **(text or {}),
    }
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    header: Header = {tag: (kind, _even(value, kind)) for tag, (kind, value) in texts.items()}
    for key, value in (_DEFAULTS | says).items():
        if value is not None:
            header[_SHORTS[key]] = ("US", struct.pack(f"{order}H", value))
    data = b"".join(element(tag, *header[tag], syntax) for tag in sorted(header))
    data += element(pixel_tag, vr, pixels, syntax) + behind
    return EncodedInstance(str(SecondaryCaptureImageStorage), uid, str(syntax), data)


_SHORTS: Final = {
    "samples": 0x00280002,
    "planar": 0x00280006,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "allocated": 0x00280100,
    "stored": 0x00280101,
    "high": 0x00280102,
    "signed": 0x00280103,
}
_DEFAULTS: Final[dict[str, int | None]] = {
    "samples": 1, "rows": SIZE, "columns": SIZE, "allocated": 16, "stored": 12, "high": 11,
    "signed": 0,
}  # fmt: skip


def _even(value: str, vr: str) -> bytes:
    raw = value.encode("latin-1")
    return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def frames(number: object) -> dict[int, tuple[str, str]]:
    """Number of Frames, whatever it is."""
    return {0x00280008: ("IS", str(number))}


def photometric(name: str) -> dict[int, tuple[str, str]]:
    """Photometric Interpretation."""
    return {0x00280004: ("CS", name)}


def window(centre: str, width: str) -> dict[int, tuple[str, str]]:
    """Window Center and Width."""
    return {0x00281050: ("DS", centre), 0x00281051: ("DS", width)}


def smooth(rows: int = SIZE, columns: int = SIZE, seed: int = 1) -> npt.NDArray[np.int64]:
    """An image as a scanner may make it: waves, an edge, a little noise; 0 to 4,095."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    waves = 900 * np.sin(x / 17 + seed) + 700 * np.cos(y / 11)
    edge = np.where((x - columns / 2) ** 2 + (y - rows / 2) ** 2 < rows * columns / 9, 1000, 0)
    return np.clip(2000 + waves + edge + rng.normal(0, 8, x.shape), 0, 4095).astype(np.int64)


def raw(values: npt.ArrayLike, dtype: str = "<u2") -> bytes:
    """Samples as bytes, wrapped into the type."""
    return np.asarray(values).astype(dtype).tobytes()


def noise(length: int, seed: int = 1) -> bytes:
    """Bytes that no codec makes smaller."""
    return np.random.default_rng(seed).bytes(length)


IMAGES: Final[dict[str, EncodedInstance]] = {}
"""What an image codec must make smaller."""

OTHERS: Final[dict[str, EncodedInstance]] = {}
"""What no image codec fits, or what other codecs may make as small."""


def _images() -> Iterator[tuple[str, EncodedInstance]]:
    """Well-formed images, each of another kind."""
    plain = smooth()
    high = np.random.default_rng(2).integers(0, 16, plain.shape) << 12
    yield "12 of 16 bits", instance(raw(plain))
    yield "high bits hold an overlay", instance(raw(plain | np.where(plain > 3000, 1 << 15, 0)))
    yield "signed", instance(raw(plain - 2048, "<i2"), signed=1, stored=16, high=15)
    yield (
        "signed, all 16 bits",
        instance(raw((plain - 2048) * 16, "<i2"), signed=1, stored=16, high=15),
    )
    yield "signed values, unsigned by header", instance(raw(plain - 2048, "<i2"))
    yield "unsigned values, signed by header", instance(raw(plain + 31000), signed=1, stored=16)
    yield "12 bits that are left-aligned", instance(raw(plain * 16), high=15)
    yield (
        "padding value far below",
        instance(
            raw(np.where(plain < 900, -32768, plain - 1024), "<i2"), signed=1, stored=16, high=15
        ),
    )
    yield "8 bits", instance(raw(plain // 16, "u1"), allocated=8, stored=8, high=7, vr="OB")
    yield (
        "8 bits, signed",
        instance(raw(plain // 16 - 128, "i1"), allocated=8, stored=8, high=7, signed=1, vr="OB"),
    )
    yield "8 bits used of 16", instance(raw(plain // 16))
    yield "MONOCHROME1", instance(raw(plain), text=photometric("MONOCHROME1"))
    yield "PALETTE COLOR", instance(raw(plain // 16), text=photometric("PALETTE COLOR"))
    yield "no photometric interpretation", instance(raw(plain), text=photometric(""))
    yield "implicit", instance(raw(plain), syntax=ImplicitVRLittleEndian)
    yield "big endian", instance(raw(plain, ">u2"), syntax=ExplicitVRBigEndian)
    yield (
        "big endian, signed",
        instance(raw(plain - 3000, ">i2"), syntax=ExplicitVRBigEndian, signed=1, stored=16),
    )
    yield "one row", instance(raw(smooth(1, 4000)), rows=1, columns=4000)
    yield "one column", instance(raw(smooth(4000, 1)), rows=4000, columns=1)
    yield "sides that are prime", instance(raw(smooth(211, 97)), rows=211, columns=97)
    yield "larger", instance(raw(smooth(600, 700)), rows=600, columns=700)
    yield "small", instance(raw(smooth(64, 64)), rows=64, columns=64)
    yield "padded behind an odd number of bytes", instance(
        raw(smooth(97, 97) // 16, "u1") + b"\0",
        rows=97, columns=97, allocated=8, stored=8, high=7, vr="OB",
    )  # fmt: skip
    yield "odd length", instance(
        raw(smooth(97, 97) // 16, "u1"),
        rows=97, columns=97, allocated=8, stored=8, high=7, vr="OB",
    )  # fmt: skip
    yield "padding that is not zero", instance(raw(plain) + b"\x07\x09\xff")
    trailing = element(0xFFFCFFFC, "OB", bytes(range(50)), ExplicitVRLittleEndian)
    yield "elements behind the pixels", instance(raw(plain), behind=trailing)
    for name, centre, width in (
        ("a window", "40", "400"),
        ("a window of no width", "40", "0"),
        ("a window of negative width", "40", "-5"),
        ("a window that is no number", "nan", "inf"),
        ("a window that is a word", "wide", "open"),
        ("a window far away", "9e30", "1e-30"),
        ("two windows", "40\\500", "400\\2000"),
    ):
        yield name, instance(raw(plain), text=window(centre, width))
    yield "stored more bits than allocated", instance(raw(plain), stored=20, high=19)
    yield "stored no bits", instance(raw(plain), stored=0, high=0)
    yield "high bit somewhere", instance(raw(plain), high=3)
    yield "neither signed nor not", instance(raw(plain), signed=7)
    yield "planar by header, one sample", instance(raw(plain), planar=1)
    yield "garbage in the high bits of a few", instance(raw(plain | np.where(plain < 800, high, 0)))
    yield from _colours(plain)
    yield from _many()


def _colours(plain: npt.NDArray[np.int64]) -> Iterator[tuple[str, EncodedInstance]]:
    planes = np.stack([plain // 16, plain[::-1] // 16, plain.T // 16])
    says = {"samples": 3, "allocated": 8, "stored": 8, "high": 7}
    pixels = raw(planes.transpose(1, 2, 0), "u1")
    rgb = photometric("RGB")
    yield "RGB", instance(pixels, text=rgb, planar=0, vr="OB", **says)
    yield "RGB, no word of planes", instance(pixels, text=rgb, vr="OB", **says)
    yield "RGB in planes", instance(raw(planes, "u1"), text=rgb, planar=1, vr="OB", **says)
    yield "YBR_FULL", instance(pixels, text=photometric("YBR_FULL"), planar=0, vr="OB", **says)
    says |= {"allocated": 16, "stored": 16, "high": 15}
    yield (
        "RGB of 16 bits",
        instance(raw(planes.transpose(1, 2, 0) * 200), text=rgb, planar=0, **says),
    )
    yield "three frames of RGB in planes", instance(
        raw(np.stack([planes, planes // 2, planes // 3]), "u1"),
        text=rgb | frames(3), planar=1, vr="OB", **(says | {"allocated": 8}),
    )  # fmt: skip


def _many() -> Iterator[tuple[str, EncodedInstance]]:
    stack = np.stack([smooth(seed=seed) for seed in range(5)])
    yield "five frames", instance(raw(stack), text=frames(5))
    yield (
        "five frames, each brighter",
        instance(raw(stack + np.arange(5)[:, None, None] * 9000), text=frames(5)),
    )
    yield "frames that are equal", instance(raw(np.stack([stack[0]] * 4)), text=frames(4))
    noisy = raw(stack[0]) + noise(SIZE * SIZE * 2) + raw(stack[1])
    yield "a frame of noise between two", instance(noisy, text=frames(3))
    yield "frames and half a frame", instance(raw(stack) + noise(SIZE * SIZE), text=frames(5))


def _others() -> Iterator[tuple[str, EncodedInstance]]:
    """What zstd may keep, or nobody makes smaller."""
    plain = smooth()
    yield "noise of 16 bits", instance(noise(SIZE * SIZE * 2), stored=16, high=15)
    yield "noise of 8 bits", instance(noise(SIZE * SIZE), allocated=8, stored=8, high=7, vr="OB")
    yield "constant", instance(raw(np.full_like(plain, 700)))
    yield "all ones", instance(raw(np.full_like(plain, 65535)))
    yield "two values", instance(raw(np.where(plain > 2000, 65535, 0)))
    yield "one pixel", instance(raw([[7]]), rows=1, columns=1)
    yield "empty pixel data", instance(b"")
    yield "no rows", instance(raw(plain), rows=0)
    yield "no word of rows", instance(raw(plain), rows=None)
    yield "no word of columns", instance(raw(plain), columns=None)
    yield "no word of bits", instance(raw(plain), allocated=None)
    yield "more rows than there are", instance(raw(plain), rows=SIZE * 5)
    yield "65535 x 65535", instance(raw(plain), rows=65535, columns=65535)
    yield "too short by a byte", instance(raw(plain)[:-1])
    yield "too short by half", instance(raw(plain)[: SIZE * SIZE])
    yield "too long by a frame", instance(raw(np.stack([plain, plain])))
    yield "too long by nine frames", instance(raw(np.stack([plain] * 10)))
    yield "half the columns", instance(raw(plain), columns=SIZE // 2)
    yield "three samples by header", instance(raw(plain), samples=3, text=photometric("RGB"))
    yield "two samples", instance(raw(plain), samples=2, rows=SIZE // 2)
    yield "no samples", instance(raw(plain), samples=0, rows=SIZE // 2)
    yield "8 bits by header", instance(raw(plain), allocated=8, stored=8, high=7)
    for number in (2, 0, -1, 10**9, 2**70, "many", "1e3", ""):
        yield f"{number!r} frames by header", instance(raw(plain), text=frames(number))
    yield "32 bits", instance(raw(plain * 70_000, "<u4"), allocated=32, stored=32, high=31)
    yield "64 bits", instance(raw(plain, "<u8"), allocated=64, stored=64, high=63)
    yield "float", instance(
        raw(plain / 7, "<f4"), allocated=32, stored=None, high=None, signed=None,
        pixel_tag=FLOAT, vr="OF",
    )  # fmt: skip
    yield "double", instance(
        raw(plain / 7, "<f8"), allocated=64, stored=None, high=None, signed=None,
        pixel_tag=DOUBLE, vr="OD",
    )  # fmt: skip
    yield (
        "one bit",
        instance(np.packbits(plain > 2000).tobytes(), allocated=1, stored=1, high=0, vr="OB"),
    )
    yield "one bit, frames that begin within a byte", instance(
        np.packbits(plain[:3, :75] > 2000).tobytes(),
        rows=5, columns=15, allocated=1, stored=1, high=0, text=frames(3), vr="OB",
    )  # fmt: skip
    yield "12 bits allocated", instance(raw(plain)[: SIZE * SIZE * 3 // 2], allocated=12)
    yield "YBR_FULL_422", instance(
        raw(plain // 16, "u1") * 2, samples=3, allocated=8, stored=8, high=7,
        text=photometric("YBR_FULL_422"), vr="OB",
    )  # fmt: skip
    yield "run lengths", recode(make(STUDY, 2, 1), RLELossless)
    yield "deflated", recode(make(STUDY, 2, 2), DeflatedExplicitVRLittleEndian)


def _fill(into: dict[str, EncodedInstance], found: Iterator[tuple[str, EncodedInstance]]) -> None:
    for name, one in found:
        assert name not in into, name
        into[name] = one


_fill(IMAGES, _images())
_fill(OTHERS, _others())

ODD: Final[dict[str, Any]] = IMAGES | OTHERS
