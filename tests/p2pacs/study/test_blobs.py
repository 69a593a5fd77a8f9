from itertools import groupby

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import ManifestError
from p2pacs.limits import BLOB_BYTES, DICTIONARY_BYTES, PREVIEW_BYTES, STUDY_CHUNKS
from p2pacs.study.blobs import LEVELS, BlobRef, BlobRun, BlobTable, Columns, key_of
from p2pacs.study.codecs import RAW, ZSTD, ZSTD_WITH
from p2pacs.study.coding import digest_of
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL
from p2pacs.study.split import Kind


def columns_of(
    lengths: list[int], plain_bytes: int, first_chunk: int = 0, kind: Kind = Kind.FRAME
) -> Columns:
    """Blobs of zstd, each twice as long when decoded, in one run."""
    return Columns(
        runs=(BlobRun(first_chunk, plain_bytes, len(lengths)),) if lengths else (),
        coded=pack(lengths),
        size=pack([2 * length for length in lengths]),
        codec=bytes([ZSTD]) * len(lengths),
        kind=bytes([kind]) * len(lengths),
        digest=b"".join(digest_of(str(length).encode()) for length in lengths),
    )


def pack(numbers: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


@frozen
class Row:
    """A blob as it stands in the columns."""

    kind: Kind = Kind.FRAME
    codec: int = ZSTD
    coded: int = 10
    size: int = 20
    level: int = 0
    digest: bytes = bytes(16)
    base: int | None = None


def rows(*blobs: Row, plain_bytes: int = 100) -> Columns:
    """These blobs, with a run whenever the level changes."""
    runs: list[BlobRun] = []
    chunk = 0
    for level, group in groupby(blobs, key=lambda row: row.level):
        some = list(group)
        runs.append(BlobRun(chunk, plain_bytes, len(some), level))
        chunk += -(-sum(row.coded for row in some) // plain_bytes)
    return Columns(
        runs=tuple(runs),
        coded=pack([row.coded for row in blobs]),
        size=pack([row.size for row in blobs]),
        codec=bytes(row.codec for row in blobs),
        kind=bytes(row.kind for row in blobs),
        digest=b"".join(row.digest for row in blobs),
        base=pack([row.base for row in blobs if row.base is not None]),
    )


def table_of(*parts: Columns) -> BlobTable:
    table = BlobTable()
    for columns in parts:
        table.extend(columns)
    return table


@given(st.lists(st.integers(1, 5000), max_size=30), st.integers(1, 2000), st.integers(0, 100_000))
def test_blobs_lie_end_to_end(lengths: list[int], plain: int, chunk: int) -> None:
    table, at = table_of(columns_of(lengths, plain, chunk)), chunk * plain
    assert len(table) == len(lengths)
    for number, length in enumerate(lengths):
        assert table[number] == BlobRef(*divmod(at, plain), length, 2 * length, 1, Kind.FRAME)
        at += length


def test_where_a_blob_lies() -> None:
    table = table_of(columns_of([70, 50, 200], 100, 7))
    assert table[2] == BlobRef(8, 20, 200, 400, 1, Kind.FRAME)
    with pytest.raises(ManifestError):
        table[3]
    with pytest.raises(ManifestError):
        table[-1]


def test_extends_from_several_runs() -> None:
    columns = columns_of([10, 20, 30], 100)
    table = table_of(evolve(columns, runs=(BlobRun(5, 100, 1, 3), BlobRun(9, 15, 2))))
    places = [(table[n].chunk, table[n].offset, table[n].level) for n in range(3)]
    assert places == [(5, 0, 3), (9, 0, 0), (10, 5, 0)]


def test_what_a_dictionary_may_be() -> None:
    table = table_of(rows(HEADER, Row(Kind.HEADER, ZSTD_WITH, base=0), Row()))
    table.extend(rows(Row(Kind.HEADER, RAW), Row(), *OTHERS))
    assert [table[number].base for number in range(7)] == [None, 0, None, None, None, 0, 3]
    assert list(table.bases(0, 7)) == [0, 0, 3]
    assert list(table.bases(2, 4)) == [0]
    assert list(table.bases(2, 3)) == []


HEADER = Row(Kind.HEADER)
OTHERS = [Row(Kind.HEADER, ZSTD_WITH, base=base) for base in (0, 3)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300)), min_size=1, max_size=9))
def test_spans_are_the_chunks_of_the_blobs(blobs: list[tuple[int, int]]) -> None:
    table = table_of(rows(*(Row(coded=coded, level=level) for level, coded in blobs)))
    for first in range(len(blobs)):
        for end in range(first + 1, len(blobs) + 1):
            expected = {
                (ref.level, ref.chunk + at // 100)
                for ref in map(table.__getitem__, range(first, end))
                for at in (
                    *range(ref.offset, ref.offset + ref.coded, 100),
                    ref.offset + ref.coded - 1,
                )
            }
            assert expected == {
                (span.level, chunk)
                for span in table.spans(first, end - first)
                for chunk in range(span.first, span.last + 1)
            }


@pytest.mark.parametrize("stretch", [(0, 0), (0, 3), (2, 1), (-1, 1)])
def test_spans_of_nothing(stretch: tuple[int, int]) -> None:
    with pytest.raises(ManifestError):
        list(table_of(GOOD).spans(*stretch))


def test_keys_tell_parts_and_previews_of_a_frame_apart() -> None:
    table = table_of(
        rows(
            Row(Kind.PREVIEW, JXL, level=2),
            Row(Kind.FRAME, HTJ2K, level=2),
            Row(Kind.FRAME, HTJ2K_NEXT, size=0, level=1),
            Row(Kind.FRAME, HTJ2K_NEXT, size=0, level=0),
            HEADER,
        )
    )
    keys = list(table.keys())
    assert len(set(keys)) == 5
    assert keys[1] == key_of(bytes(16), Kind.FRAME, RAW, 0)  # found however it is coded
    assert keys[0] == key_of(bytes(16), Kind.PREVIEW, RAW, 0)


GOOD = columns_of([10, 20], 100)


@pytest.mark.parametrize(
    "bad",
    [
        evolve(GOOD, coded=GOOD.coded[:-1]),
        evolve(GOOD, coded=GOOD.coded[:-4]),
        evolve(GOOD, size=GOOD.size * 2),
        evolve(GOOD, kind=b""),
        evolve(GOOD, digest=GOOD.digest[:-1]),
        evolve(GOOD, kind=b"\x01\xff"),
        evolve(GOOD, size=bytes(8)),
        evolve(GOOD, coded=bytes(8)),
        evolve(GOOD, size=(BLOB_BYTES + 1).to_bytes(4, "big") * 2),
        evolve(GOOD, runs=()),
        evolve(GOOD, runs=(BlobRun(0, 0, 2),)),
        evolve(GOOD, runs=(BlobRun(0, 65_521, 2),)),
        evolve(GOOD, runs=(BlobRun(0, 100, 2**32 - 1),)),
        evolve(GOOD, runs=(BlobRun(STUDY_CHUNKS, 100, 2),)),
        evolve(GOOD, runs=(BlobRun(2**32 - 1, 100, 2),)),
        evolve(GOOD, runs=(BlobRun(0, 100, 2), BlobRun(9, 100, 0))),
        evolve(GOOD, runs=(BlobRun(0, 100, 2, LEVELS),)),
        evolve(GOOD, base=pack([0])),
        rows(Row(size=0)),
        rows(Row(codec=HTJ2K_NEXT)),
        rows(Row(Kind.HEADER, HTJ2K)),
        rows(Row(Kind.OTHER, HTJ2K_NEXT, size=0)),
        rows(Row(Kind.PREVIEW, HTJ2K)),
        rows(Row(Kind.PREVIEW, JXL, size=PREVIEW_BYTES + 1)),
        rows(Row(Kind.PREVIEW, JXL, coded=PREVIEW_BYTES + 1)),
        rows(HEADER, Row(Kind.HEADER, ZSTD_WITH)),
        rows(HEADER, Row(Kind.FRAME, ZSTD_WITH, base=0)),
        rows(HEADER, Row(Kind.HEADER, ZSTD_WITH, base=1)),
        rows(HEADER, Row(Kind.HEADER, ZSTD_WITH, base=2), HEADER),
        rows(HEADER, Row(Kind.HEADER, ZSTD_WITH, base=2**32 - 1)),
        rows(Row(), Row(Kind.HEADER, ZSTD_WITH, base=0)),
        rows(HEADER, *(Row(Kind.HEADER, ZSTD_WITH, base=base) for base in (0, 1))),
        rows(Row(Kind.HEADER, 9), Row(Kind.HEADER, ZSTD_WITH, base=0)),
        rows(Row(Kind.HEADER, size=DICTIONARY_BYTES + 1), Row(Kind.HEADER, ZSTD_WITH, base=0)),
    ],
)
def test_bad_columns_add_nothing(bad: Columns) -> None:
    table = BlobTable()
    with pytest.raises(ManifestError):
        table.extend(bad)
    assert len(table) == 0
    table.extend(GOOD)


def test_what_was_added_last_can_be_taken_back() -> None:
    table = table_of(GOOD, columns_of([30], 100, 3))
    before = [table[number] for number in range(3)]
    table.extend(rows(HEADER, Row(level=1)))
    table.cut_back(3)
    assert len(table) == 3
    table.extend(columns_of([7], 100, 9))
    assert [table[number] for number in range(3)] == before
    assert table[3].chunk == 9
    table.cut_back(0)
    assert list(table.keys()) == []


def test_copies_grow_apart() -> None:
    table = table_of(columns_of([10], 100))
    other = table.copy()
    other.extend(columns_of([5], 100, 1))
    assert (len(table), len(other)) == (1, 2)
    assert other[0] == table[0]
