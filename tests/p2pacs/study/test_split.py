from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.study.split import FRAMES, PIECE_BYTES, Kind, Split, split
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, encode, instance

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on junk


def kinds(parts: Split) -> list[Kind]:
    return [piece.kind for piece in parts.pieces]


def joined(data: bytes, parts: Split) -> bytes:
    """The pieces end to end; they must not overlap or leave gaps."""
    at = 0
    for piece in parts.pieces:
        assert piece.start == at
        assert piece.end > at
        at = piece.end
    return b"".join(data[piece.start : piece.end] for piece in parts.pieces)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_one_frame(syntax: str) -> None:
    data = instance(syntax=syntax).data
    parts = split(data, syntax)
    assert kinds(parts) == [Kind.HEADER, Kind.FRAME]
    assert joined(data, parts) == data


@pytest.mark.parametrize(
    ("extra", "pixels", "expected"),
    [
        ({}, 64 * 64 * 2 + 2, [Kind.HEADER, Kind.FRAME, Kind.OTHER]),
        ({}, 64 * 64, [Kind.HEADER, Kind.OTHER]),
        ({"NumberOfFrames": 3}, 3 * 64 * 64 * 2, [Kind.HEADER] + 3 * [Kind.FRAME]),
        ({"NumberOfFrames": 2}, 3 * 64 * 64 * 2, [Kind.HEADER, Kind.OTHER]),
        ({"NumberOfFrames": 0}, 64 * 64 * 2, [Kind.HEADER, Kind.FRAME]),
        ({"NumberOfFrames": -1}, 64 * 64 * 2, [Kind.HEADER, Kind.OTHER]),
        ({"NumberOfFrames": FRAMES + 1}, 64 * 64 * 2, [Kind.HEADER, Kind.OTHER]),
        ({"Rows": 0}, 64 * 64 * 2, [Kind.HEADER, Kind.OTHER]),
        ({"Rows": 65535, "Columns": 65535}, 64 * 64 * 2, [Kind.HEADER, Kind.OTHER]),
        ({"SamplesPerPixel": 3, "BitsAllocated": 8}, 64 * 64 * 3, [Kind.HEADER, Kind.FRAME]),
        (
            {
                "SamplesPerPixel": 3,
                "BitsAllocated": 8,
                "PhotometricInterpretation": "YBR_FULL_422",
            },
            64 * 64 * 2,
            [Kind.HEADER, Kind.FRAME],
        ),
        ({"BitsAllocated": 1, "Rows": 5, "Columns": 5}, 4, [Kind.HEADER, Kind.OTHER]),
        ({"BitsAllocated": 1}, 64 * 8, [Kind.HEADER, Kind.FRAME]),
    ],
)
def test_frames_only_where_the_header_agrees(
    extra: dict[str, Any], pixels: int, expected: list[Kind]
) -> None:
    data = instance(PixelData=bytes(pixels), **extra).data
    parts = split(data, EXPLICIT)
    assert kinds(parts) == expected
    assert joined(data, parts) == data


SV1 = "1.2.840.10008.1.2.4.70"


def encapsulated(*fragments: bytes, frames: int = 1, syntax: str = SV1) -> bytes:
    """A data set of these fragments, behind an empty offset table."""
    made = dataset()
    made.NumberOfFrames = frames
    del made.PixelData
    items = b"".join(
        b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in fragments
    )
    head = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0" + bytes(4)
    return encode(made) + head + items + b"\xfe\xff\xdd\xe0" + bytes(4)


@pytest.mark.parametrize(
    ("fragments", "frames", "syntax", "expected"),
    [
        ([bytes(600)], 1, SV1, [2, 1, 2]),
        ([bytes(600), bytes(800)], 2, SV1, [2, 1, 2, 1, 2]),
        ([bytes(1000), bytes(100)], 2, SV1, [2, 1, 2, 1, 2]),
        ([bytes(600), bytes(800)], 1, SV1, [2]),
        ([bytes(600)], 2, SV1, [2]),
        ([bytes(600)] * 3, 2, SV1, [2]),
        ([bytes(100)], 1, SV1, [2]),
        ([bytes(2000), b""], 2, SV1, [2]),
        ([], 1, SV1, [2]),
        ([bytes(600)], 0, SV1, [2, 1, 2]),
        ([bytes(600)], -1, SV1, [2]),
        ([bytes(600)], FRAMES + 1, SV1, [2]),
        ([bytes(600)], 1, "1.2.840.10008.1.2.4.102", [2]),
        ([bytes(600)], 1, EXPLICIT, [2]),
    ],
)
def test_compressed_frames_that_have_a_fragment_each(
    fragments: list[bytes], frames: int, syntax: str, expected: list[int]
) -> None:
    data = encapsulated(*fragments, frames=frames)
    parts = split(data, syntax)
    assert kinds(parts) == [Kind.HEADER, *map(Kind, expected)]
    assert joined(data, parts) == data
    frames_found = [data[one.start : one.end] for one in parts.pieces if one.kind is Kind.FRAME]
    assert frames_found in ([], fragments)


@given(st.data())
def test_damaged_fragments_are_kept(data: st.DataObject) -> None:
    whole = bytearray(encapsulated(bytes(600), bytes(700), frames=2))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(len(whole) - 1400, len(whole) - 1))
        whole[at : at + 2] = data.draw(st.binary(max_size=4))
    assert joined(bytes(whole), split(bytes(whole), SV1)) == whole


def test_what_follows_the_pixel_data() -> None:
    data = instance(DataSetTrailingPadding=b"padding!").data
    parts = split(data, EXPLICIT)
    assert kinds(parts) == [Kind.HEADER, Kind.FRAME, Kind.OTHER]
    assert joined(data, parts) == data


def test_pixel_data_that_break_off() -> None:
    data = instance().data[:-100]
    parts = split(data, EXPLICIT)
    assert kinds(parts) == [Kind.HEADER, Kind.OTHER]
    assert joined(data, parts) == data


def test_long_stretches_are_cut() -> None:
    made = dataset()
    made.Rows = 1
    made.PixelData = bytes(2 * PIECE_BYTES + 3000)
    data = encode(made)
    parts = split(data, EXPLICIT)
    assert kinds(parts) == [Kind.HEADER] + 3 * [Kind.OTHER]
    assert joined(data, parts) == data


def test_no_pixel_data() -> None:
    made = dataset()
    del made.PixelData
    data = encode(made)
    parts = split(data, EXPLICIT)
    assert kinds(parts) == [Kind.HEADER]
    assert joined(data, parts) == data


def test_nothing() -> None:
    assert split(b"", EXPLICIT).pieces == ()


@given(st.binary(max_size=200), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, "1.2"]))
def test_junk_is_kept(junk: bytes, syntax: str) -> None:
    assert joined(junk, split(junk, syntax)) == junk


@given(st.data())
def test_damage_is_kept(data: st.DataObject) -> None:
    whole = bytearray(instance(rows=4, columns=4).data)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + 2] = data.draw(st.binary(max_size=4))
    assert joined(bytes(whole), split(bytes(whole), EXPLICIT)) == whole
