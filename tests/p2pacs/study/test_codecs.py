import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.limits import BLOB_BYTES
from p2pacs.study.codecs import CODECS, RAW, ZSTD, Codec, decode


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
@given(plain=st.binary(min_size=1, max_size=2000))
def test_round_trip(codec: Codec, plain: bytes) -> None:
    assert decode(codec.number, codec.encode(plain), len(plain)) == plain


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
@given(junk=st.binary(max_size=200), size=st.integers(min_value=0, max_value=1000))
def test_junk_only_raises_coding_error(codec: Codec, junk: bytes, size: int) -> None:
    with suppress(CodingError):
        assert len(decode(codec.number, junk, size)) == size


def test_numbers_are_frozen() -> None:
    assert {number: codec.name for number, codec in CODECS.items()} == {0: "raw", 1: "zstd"}


def test_unknown_codec() -> None:
    with pytest.raises(CodingError, match="update"):
        decode(200, b"", 0)


def test_declared_length_is_bounded() -> None:
    with pytest.raises(CodingError, match="at most"):
        decode(RAW.number, b"", BLOB_BYTES + 1)


@pytest.mark.parametrize("size", [0, 999, 1001])
def test_other_length_than_declared(size: int) -> None:
    for codec in CODECS.values():
        with pytest.raises(CodingError):
            decode(codec.number, codec.encode(b"a" * 1000), size)


def test_a_frame_that_does_not_tell_its_size_is_refused() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 1000)
    with pytest.raises(CodingError, match="declares"):
        ZSTD.decode(frame, 1000)


def test_a_frame_that_expands_without_end_takes_no_memory() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64_000_000))
    tracemalloc.start()
    with pytest.raises(CodingError):
        ZSTD.decode(bomb, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor().compress(bytes(100_000))
    declared = honest.index((100_000).to_bytes(4, "little"))
    lying = honest[:declared] + (70_000).to_bytes(4, "little") + honest[declared + 4 :]
    with pytest.raises(CodingError):
        ZSTD.decode(lying, 70_000)


def test_bytes_behind_the_frame_are_refused() -> None:
    with pytest.raises(CodingError):
        ZSTD.decode(ZSTD.encode(b"a" * 100) + b"x", 100)
    with pytest.raises(CodingError):
        ZSTD.decode(ZSTD.encode(b"a" * 100) * 2, 100)
