import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.study import dictionary as module
from p2pacs.study.codecs import RAW, ZSTD, ZSTD_WITH, decode
from p2pacs.study.coding import CodedBlob, digest_of
from p2pacs.study.dictionary import SERIES, HeaderCoder, Named
from p2pacs.study.split import Kind
from tests.p2pacs.study.samples import instance, noise


def plain(content: bytes) -> CodedBlob:
    return CodedBlob(Kind.HEADER, RAW, content, len(content), digest_of(content))


def header(number: int, **extra: object) -> bytes:
    """Of an instance: some two hundred bytes."""
    return instance(number, PixelData=bytes(8192), **extra).data[:-8192]


def coded(coder: HeaderCoder, content: bytes, series: str = "1.2") -> Named:
    return coder.code(series, plain(content))


def test_the_first_alone_and_the_others_with_it() -> None:
    coder = HeaderCoder()
    first, second, third = (coded(coder, header(number)) for number in (1, 2, 3))
    assert (first.blob.codec, first.base) == (ZSTD, None)
    for named, number in ((second, 2), (third, 3)):
        assert named.blob == evolve(plain(header(number)), codec=ZSTD_WITH, coded=named.blob.coded)
        assert named.base == first.blob.key
        assert len(named.blob.coded) < len(first.blob.coded) / 3
        size = len(header(number))
        assert decode(ZSTD_WITH, named.blob.coded, size, header(1)) == header(number)


def test_each_series_has_its_own() -> None:
    coder = HeaderCoder()
    one, other = coded(coder, header(1), "1"), coded(coder, header(2), "2")
    assert (one.base, other.base) == (None, None)
    assert coded(coder, header(3), "1").base == one.blob.key
    assert coded(coder, header(4), "2").base == other.blob.key


def test_one_that_is_smaller_alone_is_the_next_dictionary() -> None:
    coder = HeaderCoder()
    first, other, third = (noise(number, 100)[::2] for number in (1, 2, 3))
    coded(coder, first)
    different = coded(coder, 2 * other)
    assert (different.blob.codec, different.base) == (ZSTD, None)
    assert coded(coder, other + third).base == different.blob.key


def test_what_does_not_get_smaller_stays_and_is_a_dictionary() -> None:
    coder, short = HeaderCoder(), b"abcdefghijklmnopqrst"
    assert coded(coder, short).blob == plain(short)
    again = coded(coder, short + short[:-1])
    assert (again.blob.codec, again.base) == (ZSTD_WITH, plain(short).key)


def test_series_not_used_for_long_are_forgotten() -> None:
    coder = HeaderCoder()
    for number in range(SERIES):
        coded(coder, header(number), str(number))
    assert coded(coder, header(100), "0").base is not None
    coded(coder, header(101), "another")
    assert coded(coder, header(102), "0").base is not None
    assert coded(coder, header(103), "1").base is None


def test_no_more_bytes_are_kept_than_may_be() -> None:
    coder = HeaderCoder(kept_bytes=len(header(1)) + 50)
    assert coded(coder, header(0), "0").base is None
    assert coded(coder, header(1), "0").base is not None
    assert coded(coder, header(2), "2").base is None
    assert coded(coder, header(3), "2").base is not None
    assert coded(coder, header(4), "0").base is None


def test_a_dictionary_that_is_not_exact_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Dictionary, "encode", lambda *_: None)
    coder = HeaderCoder()
    assert [coded(coder, header(number)).blob.codec for number in (1, 2)] == [ZSTD, ZSTD]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(min_size=1, max_size=300)), max_size=8))
def test_whatever_they_are_they_come_back(headers: list[tuple[str, bytes]]) -> None:
    coder = HeaderCoder()
    known: dict[bytes, CodedBlob] = {}
    for series, content in headers:
        named = coded(coder, content, series)
        dictionary = None
        if named.base is not None:
            base = known[named.base]
            assert base.codec in (RAW, ZSTD)
            dictionary = decode(base.codec, base.coded, base.size)
        assert decode(named.blob.codec, named.blob.coded, len(content), dictionary) == content
        known.setdefault(named.blob.key, named.blob)
