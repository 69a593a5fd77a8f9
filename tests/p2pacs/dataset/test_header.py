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
