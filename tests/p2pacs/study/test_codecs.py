import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.limits import BLOB_BYTES
from p2pacs.study.codecs import (
    CODECS,
    RAW,
    ZSTD,
    ZSTD_WITH,
    decode,
    decode_zstd,
    encode_zstd,
    raw_dictionary,
)
from p2pacs.study.images import HTJ2K_NEXT


@given(plain=st.binary(min_size=1, max_size=2000))
def test_round_trip(plain: bytes) -> None:
    assert decode(RAW, plain, len(plain)) == plain
    assert decode(ZSTD, encode_zstd(plain), len(plain)) == plain
    assert decode(ZSTD, encode_zstd(plain, 19), len(plain)) == plain


@given(plain=st.binary(min_size=1, max_size=2000), dictionary=st.binary(min_size=1, max_size=500))
def test_round_trip_with_a_dictionary(plain: bytes, dictionary: bytes) -> None:
    coded = with_dictionary(plain, dictionary)
    assert decode(ZSTD_WITH, coded, len(plain), dictionary) == plain


def with_dictionary(plain: bytes, dictionary: bytes) -> bytes:
    return zstandard.ZstdCompressor(
        dict_data=raw_dictionary(dictionary), write_content_size=True
    ).compress(plain)


def test_a_dictionary_may_look_like_a_trained_one() -> None:
    dictionary = b"\x37\xa4\x30\xec" + bytes(range(256))
    coded = with_dictionary(dictionary[50:], dictionary)
    assert len(coded) < 40
    assert decode(ZSTD_WITH, coded, 210, dictionary) == dictionary[50:]


@pytest.mark.parametrize("number", CODECS, ids=lambda number: CODECS[number][0])
@given(
    junk=st.binary(max_size=200),
    size=st.integers(min_value=0, max_value=1000),
    dictionary=st.none() | st.binary(max_size=100),
)
def test_junk_only_raises_coding_error(
    number: int, junk: bytes, size: int, dictionary: bytes | None
) -> None:
    with suppress(CodingError):
        assert len(decode(number, junk, size, dictionary)) == size


def test_what_is_nothing_alone() -> None:
    with pytest.raises(CodingError, match="dictionary"):
        decode(ZSTD_WITH, encode_zstd(b"a" * 100), 100)
    with pytest.raises(CodingError, match="further part"):
        decode(HTJ2K_NEXT, b"a", 0)


def test_numbers_are_frozen() -> None:
    assert {number: name for number, (name, _) in CODECS.items()} == {
        0: "raw",
        1: "zstd",
        2: "zstd with dictionary",
        3: "JPEG XL",
        4: "HTJ2K",
        5: "HTJ2K, further part",
        6: "JPEG in JPEG XL",
        7: "JPEG Lossless",
        8: "RLE Lossless",
    }


def test_coded_forms_are_frozen() -> None:
    """What was published once must decode for ever."""
    header = b"Series 1, instance 2: " * 3
    first = b"Series 1, instance 1: the first header of a series"
    alone = "28b52ffd2042ed0000b053657269657320312c20696e7374616e636520323a2001004a733601"
    with_it = "28b52ffd204265000018323a200200e534a7260a08"
    assert decode(ZSTD, bytes.fromhex(alone), 66) == header
    assert decode(ZSTD_WITH, bytes.fromhex(with_it), 66, first) == header
    with pytest.raises(CodingError):
        decode(ZSTD_WITH, bytes.fromhex(with_it), 66, b"")


def test_unknown_codec() -> None:
    with pytest.raises(CodingError, match="update"):
        decode(200, b"", 0)


def test_declared_length_is_bounded() -> None:
    with pytest.raises(CodingError, match="at most"):
        decode(RAW, b"", BLOB_BYTES + 1)


@pytest.mark.parametrize("size", [0, 999, 1001])
def test_other_length_than_declared(size: int) -> None:
    plain = b"a" * 1000
    for codec, coded in ((RAW, plain), (ZSTD, encode_zstd(plain))):
        with pytest.raises(CodingError):
            decode(codec, coded, size)
    with pytest.raises(CodingError):
        decode(ZSTD_WITH, with_dictionary(plain, b"aaa"), size, b"aaa")


def test_a_frame_that_does_not_tell_its_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 1000)
    with pytest.raises(CodingError, match="declares"):
        decode_zstd(frame, 1000)


def test_a_frame_that_expands_without_end_takes_no_memory() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64_000_000))
    tracemalloc.start()
    with pytest.raises(CodingError):
        decode_zstd(bomb, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor().compress(bytes(100_000))
    declared = honest.index((100_000).to_bytes(4, "little"))
    lying = honest[:declared] + (70_000).to_bytes(4, "little") + honest[declared + 4 :]
    with pytest.raises(CodingError):
        decode_zstd(lying, 70_000)


def test_bytes_behind_the_frame_are_refused() -> None:
    with pytest.raises(CodingError):
        decode_zstd(encode_zstd(b"a" * 100) + b"x", 100)
    with pytest.raises(CodingError):
        decode_zstd(encode_zstd(b"a" * 100) * 2, 100)
