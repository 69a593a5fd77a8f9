import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.dataset.header import DEFLATED, UNDEFINED_LENGTH, read_header
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, encode, instance

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on junk


def test_finds_the_value_of_pixel_data_in_every_encoding() -> None:
    for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        data = instance(syntax=syntax).data
        header = read_header(data, syntax)
        assert header is not None
        assert header.pixels_at == len(data) - 2 * 64 * 64
        assert header.pixels_length == 2 * 64 * 64


def test_float_pixel_data_count_as_pixel_data() -> None:
    made = dataset()
    del made.PixelData
    made.FloatPixelData = bytes(4 * 64 * 64)
    data = encode(made)
    header = read_header(data, EXPLICIT)
    assert header is not None
    assert header.pixels_at == len(data) - 4 * 64 * 64


def test_pixel_data_of_an_icon_are_not_the_pixel_data() -> None:
    icon = Dataset()
    icon.PixelData = bytes(64)
    icon["PixelData"].VR = "OB"
    made = dataset(IconImageSequence=[icon])
    data = encode(made)
    header = read_header(data, EXPLICIT)
    assert header is not None
    assert header.pixels_at == len(data) - 2 * 64 * 64


def test_encapsulated() -> None:
    made = dataset()
    del made.PixelData
    data = encode(made) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"fragments"
    header = read_header(data, "1.2.840.10008.1.2.4.90")
    assert header is not None
    assert header.pixels_at == len(data) - len(b"fragments")
    assert header.pixels_length == UNDEFINED_LENGTH


def test_deflated_is_read_but_not_cut() -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = packer.compress(instance().data) + packer.flush()
    header = read_header(deflated, DEFLATED)
    assert header is not None
    assert header.elements.InstanceNumber == 1
    assert header.pixels_at is None
    assert read_header(b"not deflated", DEFLATED) is None


def test_identity_survives_a_broken_rest() -> None:
    whole = instance().data
    data = whole[: whole.index(b"\x28\x00\x02\x00")]
    broken = data + b"\x28\x00\x02\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0junk!!!!" * 9
    header = read_header(broken, EXPLICIT)
    assert header is not None
    assert header.elements.StudyInstanceUID
    assert header.pixels_at is None


def test_sequences_nested_without_end() -> None:
    nested = (
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ) * 5000
    data = instance().data[:200] + nested
    header = read_header(data, EXPLICIT)
    assert header is None or header.pixels_at is None


@given(
    st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, "", "x"])
)
def test_junk_never_raises(junk: bytes, syntax: str) -> None:
    read_header(junk, syntax)


@given(st.integers(min_value=0, max_value=700), st.binary(min_size=1, max_size=4))
def test_damage_never_raises(at: int, damage: bytes) -> None:
    data = bytearray(instance(rows=4, columns=4).data)
    data[at : at + len(damage)] = damage
    read_header(bytes(data), EXPLICIT)


def big_endian(*elements: tuple[int, str, bytes]) -> bytes:
    """A data set in Explicit VR Big Endian, values as they are given."""
    return b"".join(
        struct.pack(">HH", tag >> 16, tag & 0xFFFF)
        + vr.encode()
        + (struct.pack(">xxL", len(value)) if vr in ("OW", "UN") else struct.pack(">H", len(value)))
        + value
        for tag, vr, value in elements
    )


UNKNOWN = struct.pack(">HH", 0x0009, 0x1010) + b"UN\0\0\xff\xff\xff\xff"
"""The head of a private sequence whose VR was not known to who wrote it."""


def items(*texts: bytes, nested: bytes = b"", defined: bool = False) -> bytes:
    """A sequence of undefined length in Implicit VR Little Endian."""
    out = b""
    for text in texts:
        inside = struct.pack("<HHL", 0x0009, 0x1011, len(text)) + text + nested
        length = len(inside) if defined else 0xFFFFFFFF
        out += struct.pack("<HHL", 0xFFFE, 0xE000, length) + inside
        out += b"" if defined else struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    return out + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


IDENTITY = big_endian((0x0008_0018, "UI", b"1.2.3.4\0"), (0x0009_0010, "LO", b"ACME"))
REST = big_endian(
    (0x0020_000D, "UI", b"1.2.3\0"), (0x0020_000E, "UI", b"1.2.3.1\0"), (0x0028_0010, "US", b"\0\2")
)
PIXELS = big_endian((0x7FE0_0010, "OW", b"\0\1\0\2"))


@pytest.mark.parametrize("defined", [False, True], ids=["items without lengths", "with lengths"])
@pytest.mark.parametrize("deep", [0, 1, 3000])
def test_big_endian_with_a_sequence_of_unknown_vr(defined: bool, deep: int) -> None:
    """PS3.5 6.2.2: it is in Implicit VR Little Endian all the same; DCMTK reads it so."""
    nested = b""
    for _ in range(deep):
        nested = struct.pack("<HHL", 0x0009, 0x1010, 0xFFFFFFFF) + items(b"in", nested=nested)
    sequence = UNKNOWN + items(b"abcd", b"", b"efghij", nested=nested, defined=defined)
    data = IDENTITY + sequence + REST + sequence + PIXELS
    header = read_header(data, BIG_ENDIAN)
    assert header is not None
    assert header.elements.StudyInstanceUID == "1.2.3"
    assert header.elements.Rows == 2
    assert (header.pixels_at, header.pixels_length) == (len(data) - 4, 4)


def test_a_sequence_of_unknown_vr_that_breaks_off() -> None:
    data = IDENTITY + UNKNOWN + items(b"abcd")[:-8]
    header = read_header(data, BIG_ENDIAN)
    assert header is None or header.pixels_at is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_junk_in_a_sequence_of_unknown_vr_never_raises(junk: bytes, more: bytes) -> None:
    read_header(IDENTITY + UNKNOWN + junk + REST + more + PIXELS, BIG_ENDIAN)
