from __future__ import annotations

from contextlib import suppress

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.compressed.jpeg_headers import HuffmanTable, read_lossless, recipe_of
from tests.p2pacs.study.compressed.made import MadeJpeg, jpegs, segment


@given(jpegs())
def test_what_a_stream_says(made: MadeJpeg) -> None:
    headers = read_lossless(made.stream(), is_recipe=False)
    frame = headers.frame
    assert (frame.precision, frame.rows, frame.columns) == (made.precision, made.rows, made.columns)
    assert frame.components == tuple(range(1, made.components + 1))
    assert len(headers.scans) == (1 if made.interleaved else made.components)
    for scan in headers.scans:
        assert (scan.predictor, scan.shift) == (made.predictor, made.shift)
        assert scan.restart_rows == made.restart_rows


@given(jpegs())
def test_a_recipe_is_read_like_its_stream(made: MadeJpeg) -> None:
    stream = made.stream()
    headers = read_lossless(stream, is_recipe=False)
    recipe = recipe_of(stream, headers)
    again = read_lossless(recipe, is_recipe=True)
    assert again.frame == headers.frame
    assert [evolve(scan, at=0, end=0) for scan in again.scans] == [
        evolve(scan, at=0, end=0) for scan in headers.scans
    ]
    assert all(scan.at == scan.end for scan in again.scans)
    assert len(recipe) == len(stream) - sum(scan.end - scan.at for scan in headers.scans)


SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF = segment(0xC3, bytes((12, 0, 9, 0, 9, 1, 1, 0x11, 0)))
DHT = segment(0xC4, bytes((0, 1, *[0] * 15, 0)))
SOS = segment(0xDA, bytes((1, 1, 0, 1, 0, 0)))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"", "not a JPEG"),
        (SOI, "no marker"),
        (SOI + EOI, "no frame header"),
        (SOI + b"\xff\xfe\xff\xff", "within its headers"),
        (SOI + b"\xff\xfe\0\1" + EOI, "within its headers"),
        (SOI + SOF, "no marker"),
        (SOI + SOF + SOF + EOI, "frame header that cannot"),
        (SOI + SOF + EOI, "every component"),
        (SOI + SOF + SOS + EOI, "does not have"),
        (SOI + DHT + SOS + EOI, "scan that cannot"),
        (SOI + SOF + DHT + SOS, "breaks off"),
        (SOI + SOF + DHT + SOS + SOS + EOI, "every component"),
        (SOI + SOF + DHT + SOS * 5 + EOI, "more scans"),
        (SOI + SOF + DHT + segment(0xDA, bytes((1, 1, 0, 8, 0, 0))) + EOI, "not made again"),
        (SOI + SOF + DHT + segment(0xDA, bytes((1, 1, 0, 1, 0, 12))) + EOI, "not made again"),
        (SOI + SOF + DHT + segment(0xDA, bytes((9, 1, 0, 1, 0, 0))) + EOI, "scan that cannot"),
        (SOI + SOF + DHT + segment(0xDD, b"\0\x05") + SOS + EOI, "not made again"),
        (SOI + SOF + segment(0xDD, b"\0") + EOI, "restart interval"),
        (SOI + segment(0xC3, bytes((12, 0, 9, 0, 9, 1, 1, 0x21, 0))) + EOI, "components that"),
        (SOI + segment(0xC3, bytes((17, 0, 9, 0, 9, 1, 1, 0x11, 0))) + EOI, "frame header that"),
        (SOI + segment(0xC3, bytes((12, 0, 0, 0, 9, 1, 1, 0x11, 0))) + EOI, "frame header that"),
        (SOI + segment(0xC3, bytes((12, 0, 9, 0, 9, 9, 1, 0x11, 0))) + EOI, "frame header that"),
        (
            SOI + segment(0xC0, bytes((8, 0, 9, 0, 9, 1, 1, 0x11, 0))) + EOI,
            "another process|of a process",
        ),
        (SOI + segment(0xDC, b"\0\x09") + EOI, "of a process"),
        (SOI + segment(0xC4, bytes((0, *[255] * 16))) + EOI, "Huffman table"),
        (SOI + segment(0xC4, bytes((0x10, 1, *[0] * 15, 0))) + EOI, "Huffman table"),
    ],
)
def test_headers_that_lie_are_refused(stream: bytes, why: str) -> None:
    with pytest.raises(CodingError, match=why):
        read_lossless(stream, is_recipe=False)


@given(st.binary(max_size=300), st.booleans())
def test_junk_is_refused(junk: bytes, is_recipe: bool) -> None:
    with suppress(CodingError):
        read_lossless(SOI + junk, is_recipe=is_recipe)


@pytest.mark.parametrize(
    ("counts", "symbols"),
    [([3], [0, 1, 2]), ([0, 5], [0, 1, 2, 3, 4]), ([1], [17])],
)
def test_tables_that_cannot_be(counts: list[int], symbols: list[int]) -> None:
    table = HuffmanTable(bytes(counts).ljust(16, b"\0"), bytes(symbols))
    with pytest.raises(CodingError, match="cannot be"):
        list(table.codes())


def test_the_codes_of_a_table() -> None:
    """T.81 K.3.1: the luminance DC table, as its table K.3 lists the words."""
    table = HuffmanTable(bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, *[0] * 7)), bytes(range(12)))
    words = [f"{code:0{bits}b}" for _, code, bits in table.codes()]
    assert words[:7] == ["00", "010", "011", "100", "101", "110", "1110"]
    assert words[-1] == "111111110"
