import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dicomweb.ranges import PartialAnswer, answer, is_same
from p2pacs.limits import BYTE_RANGES

THING = bytes(range(100))
ETAG = '"abc"'


def given_for(*requested: str, if_range: str = "", size: int = len(THING)) -> PartialAnswer:
    return answer(
        size, "image/jls", ETAG, requested=requested, if_range=if_range, boundary="between"
    )


def body(answered: PartialAnswer) -> bytes:
    made = b"".join(
        THING[piece.start : piece.stop] if isinstance(piece, range) else piece
        for piece in answered.pieces
    )
    assert dict(answered.headers)["Content-Length"] == str(len(made))
    return made


@pytest.mark.parametrize(
    ("requested", "first", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-10", 10, 11),
        ("Bytes= 90-", 90, 100),
        ("bytes=-5", 95, 100),
        ("bytes=-500", 0, 100),
        ("bytes=90-999999999999", 90, 100),
        ("bytes=,5-6,", 5, 7),
        ("bytes=5-6,200-", 5, 7),  # what is beyond the end is left out
        ("bytes=0-9,5-20", 0, 21),  # two that overlap are one
    ],
)
def test_one_range(requested: str, first: int, end: int) -> None:
    answered = given_for(requested)
    assert answered.status == 206
    assert body(answered) == THING[first:end]
    headers = dict(answered.headers)
    assert headers["Content-Range"] == f"bytes {first}-{end - 1}/100"
    assert headers["Content-Type"] == "image/jls"
    assert headers["ETag"] == ETAG


@pytest.mark.parametrize(
    "requested",
    ["", "items=0-1", "bytes=", "bytes=a-b", "bytes=-", "bytes=9-1", "bytes=1-2,x", "bytes", "0-1"],
)
def test_what_is_no_range_is_passed_over(requested: str) -> None:
    answered = given_for(requested)
    assert answered.status == 200
    assert body(answered) == THING
    assert dict(answered.headers)["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "requested",
    [
        "bytes=100-",
        "bytes=-0",
        "bytes=200-300,400-",
        "bytes=" + ",".join(["0-"] * 1000),
        "bytes=" + ",".join(["0-50"] * 3),
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 2 * BYTE_RANGES + 2, 2)),
    ],
)
def test_what_is_not_there_or_an_attack_gets_nothing(requested: str) -> None:
    answered = given_for(requested)
    assert answered.status == 416
    assert body(answered) == b""
    assert dict(answered.headers)["Content-Range"] == "bytes */100"


def test_several_ranges_are_parts() -> None:
    answered = given_for("bytes=90-,0-4")
    assert answered.status == 206
    headers = dict(answered.headers)
    assert headers["Content-Type"] == "multipart/byteranges; boundary=between"
    _, first, second, end = body(answered).split(b"\r\n--between")
    assert first.endswith(b"\r\n\r\n" + THING[90:])
    assert b"Content-Range: bytes 0-4/100\r\n" in second
    assert b"Content-Type: image/jls\r\n" in second
    assert end == b"--\r\n"


def test_ranges_of_what_has_changed_are_the_whole() -> None:
    assert given_for("bytes=0-9", if_range=ETAG).status == 206
    for other in ('"abd"', 'W/"abc"', "Mon, 30 Nov 2026 13:00:00 GMT"):
        assert given_for("bytes=0-9", if_range=other).status == 200


def test_two_fields_are_none() -> None:
    assert given_for("bytes=0-9", "bytes=20-29").status == 200


def test_nothing_has_no_ranges() -> None:
    assert given_for(size=0).status == 200
    assert given_for("bytes=0-", size=0).status == 416


def test_who_has_it_already_is_told_so() -> None:
    assert is_same([ETAG], ETAG)
    assert is_same(['"x", W/"abc"'], ETAG)
    assert is_same(["*"], ETAG)
    assert not is_same([], ETAG)
    assert not is_same(['"x"', "abc"], ETAG)


@given(
    st.integers(0, 100),
    st.lists(
        st.tuples(
            st.integers(0, 120) | st.just(""), st.integers(0, 120) | st.just(""), st.booleans()
        ),
        max_size=20,
    ),
)
def test_no_byte_is_given_that_was_not_asked_for(
    size: int, asked: list[tuple[int | str, int | str, bool]]
) -> None:
    text = ",".join(f"{first}-{last}{' ' * pad}" for first, last, pad in asked)
    answered = given_for("bytes=" + text, size=size)
    assert answered.status in (200, 206, 416)
    ranges = [piece for piece in answered.pieces if isinstance(piece, range)]
    given = [number for part in ranges for number in part]
    assert len(given) == len(set(given))  # nothing twice
    assert all(0 <= number < size for number in given)
    if answered.status == 206:
        wanted = set[int]()
        for first, last, _ in asked:
            if first == "" and last != "":
                wanted |= set(range(max(0, size - int(last)), size))
            elif first != "":
                wanted |= set(range(int(first), min(size, int(last) + 1 if last != "" else size)))
        assert set(given) == wanted


@given(st.text())
def test_whatever_it_says_it_is_an_answer(requested: str) -> None:
    assert given_for(requested).status in (200, 206, 416)
    assert re.fullmatch("200|206", str(given_for(if_range=requested).status))
