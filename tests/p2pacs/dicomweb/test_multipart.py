from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dicomweb.multipart import (
    HEADER_BYTES,
    MultipartParser,
    MultipartReader,
    PartEnd,
    PartHead,
    boundary_of,
)
from p2pacs.errors import BrokenInstanceError

BOUNDARY = "b0undary"


def body(
    parts: Iterable[bytes], *, counted: bool, preamble: bytes = b"", end: bytes = b"--"
) -> bytes:
    out = preamble
    for number, part in enumerate(parts):
        out += (b"\r\n" if number or preamble else b"") + b"--b0undary \r\n"
        out += b"Content-Type: application/dicom; transfer-syntax=1.2\r\n"
        out += b"CONTENT-LENGTH: %d\r\n" % len(part) if counted else b""
        out += b"\r\n" + part
    return out + b"\r\n--b0undary" + end


def parse(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    parser = MultipartParser(BOUNDARY)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts = [part for start, stop in pairwise(edges) for part in parser.feed(data[start:stop])]
    parser.finish()
    assert all(part.headers["content-type"].startswith("application/dicom") for part in parts)
    return [part.body() for part in parts]


tricky = st.lists(
    st.sampled_from([b"\r\n", b"--", b"b0undary", b"\r\n--b0undar", b"x", b"\0"])
).map(b"".join)
bodies = (tricky | st.binary(max_size=300)).filter(lambda part: b"\r\n--b0undary" not in part)


@given(st.lists(bodies, min_size=1, max_size=5), st.lists(st.integers(0)), st.booleans())
def test_any_split_gives_the_parts(parts: list[bytes], cuts: list[int], counted: bool) -> None:
    assert parse(body(parts, counted=counted), cuts) == parts


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=3), st.lists(st.integers(0)))
def test_counted_parts_may_hold_the_delimiter(parts: list[bytes], cuts: list[int]) -> None:
    parts = [part + b"\r\n--b0undary--" for part in parts]
    assert parse(body(parts, counted=True, preamble=b"ignored"), cuts) == parts


@given(st.binary(max_size=500), st.lists(st.integers(0), max_size=5))
def test_garbage_is_refused_and_never_crashes(data: bytes, cuts: list[int]) -> None:
    try:
        parse(data, cuts)
    except BrokenInstanceError:
        return
    assert b"--b0undary--" in data


@given(st.integers(1, 60))
def test_an_answer_that_is_cut_off_is_noticed(missing: int) -> None:
    data = body([b"x" * 50], counted=True)
    with pytest.raises(BrokenInstanceError):
        parse(data[:-missing], [])


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (HEADER_BYTES + 100),
        b"--b0undary" + b" " * (HEADER_BYTES + 100),
        b"--b0undary and more\r\n\r\n",
        b"--b0undary\r\n" + b"X: y\r\n" * HEADER_BYTES,
        b"--b0undary\r\nContent-Length: -1\r\n\r\n",
        b"--b0undary\r\nContent-Length: 9999999999999\r\n\r\n",
        b"--b0undary\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"--b0undary\r\nContent-Length: 2\r\n\r\nabc and more than enough",
    ],
    ids=range(8),
)
def test_what_breaks_the_bounds(data: bytes) -> None:
    with pytest.raises(BrokenInstanceError):
        MultipartParser(BOUNDARY).feed(data)


def test_a_part_without_a_length_has_a_bound_too() -> None:
    parser = MultipartParser(BOUNDARY, part_bytes=1000)
    parser.feed(b"--b0undary\r\n\r\n")
    parser.feed(b"x" * 1000)
    with pytest.raises(BrokenInstanceError, match="too long"):
        parser.feed(b"x" * 100)


def test_headers_may_be_missing_and_what_follows_the_end_is_ignored() -> None:
    parser = MultipartParser(BOUNDARY)
    (part,) = parser.feed(b"--b0undary\r\n\r\nabc\r\n--b0undary--\r\nepilogue")
    parser.feed(b"more of it")
    parser.finish()
    assert (part.headers, part.body(), part.size) == ({}, b"abc", 3)


def test_boundary() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary=a-b') == "a-b"
    assert boundary_of('multipart/related; boundary="a b"') == "a b"
    assert boundary_of(f"multipart/related; boundary={'b' * 73}") == "b" * 73  # Orthanc's
    too_long = f"multipart/x; boundary={'b' * 257}"
    for wrong in ("application/json", "multipart/related", "", too_long):
        with pytest.raises(BrokenInstanceError):
            boundary_of(wrong)


@given(st.lists(bodies, min_size=1, max_size=5), st.integers(1, 50), st.booleans())
def test_pieces_are_given_as_they_come(parts: list[bytes], step: int, counted: bool) -> None:
    reader, data = MultipartReader(BOUNDARY), body(parts, counted=counted)
    found: list[bytes] = []
    whole = 0
    for at in range(0, len(data), step):
        for event in reader.feed(data[at : at + step]):
            if isinstance(event, PartHead):
                found.append(b"")
            elif isinstance(event, PartEnd):
                whole += 1
            else:
                found[-1] += event
    reader.finish()
    assert (found, whole) == (parts, len(parts))


def test_a_reader_keeps_no_body() -> None:
    reader = MultipartReader(BOUNDARY)
    reader.feed(b"--b0undary\r\n\r\n")
    given = sum(
        len(piece)
        for _ in range(100)
        for piece in reader.feed(b"x" * 1000)
        if isinstance(piece, bytes)
    )
    assert given >= 100 * 1000 - len(BOUNDARY) - 4
