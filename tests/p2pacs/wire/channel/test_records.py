from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.wire.channel.records import HEAD_BYTES, RecordEnds


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
)
def test_ends_are_found_however_the_stream_is_cut(sizes: list[int], cuts: list[int]) -> None:
    stream = b"".join(map(record, sizes))
    ends = list(accumulate(HEAD_BYTES + size for size in sizes))
    marks = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    records = RecordEnds()
    for before, after in pairwise(marks):
        assert records.feed(stream[before:after]) == any(before < end <= after for end in ends)


def test_a_senseless_length_is_followed() -> None:
    records = RecordEnds()
    assert not records.feed(b"\xff" * 6)
    assert not records.feed(bytes(0xFFFF - 2))
    assert records.feed(b"x")


def test_nothing_ends_nothing() -> None:
    records = RecordEnds()
    assert not records.feed(b"")
    assert records.feed(record(3))
