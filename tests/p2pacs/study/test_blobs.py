import hashlib

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import ManifestError
from p2pacs.limits import BLOB_BYTES, STUDY_CHUNKS
from p2pacs.study.blobs import BlobRef, BlobTable, Columns, Run
from p2pacs.study.coding import CodedBlob
from p2pacs.study.split import Kind


def blob(length: int, kind: Kind = Kind.FRAME) -> CodedBlob:
    digest = hashlib.sha256(str(length).encode()).digest()[:16]
    return CodedBlob(kind, 1, bytes(length), 2 * length, digest)


def table_of(lengths: list[int], plain_bytes: int, first_chunk: int = 0) -> BlobTable:
    table, at = BlobTable(), first_chunk * plain_bytes
    for length in lengths:
        table.append(blob(length), *divmod(at, plain_bytes))
        at += length
    return table


def columns_of(table: BlobTable, plain_bytes: int, first_chunk: int = 0) -> Columns:
    return table.columns(0, (Run(first_chunk, plain_bytes, len(table)),))


@given(st.lists(st.integers(1, 5000), max_size=30), st.integers(1, 2000), st.integers(0, 100_000))
def test_columns_give_the_same_table(lengths: list[int], plain: int, chunk: int) -> None:
    table, again = table_of(lengths, plain, chunk), BlobTable()
    again.extend(columns_of(table, plain, chunk))
    assert len(again) == len(lengths)
    assert [again[number] for number in range(len(again))] == [
        table[number] for number in range(len(table))
    ]
    assert list(again.digests()) == list(table.digests())


def test_where_a_blob_lies() -> None:
    table = table_of([70, 50, 200], 100, first_chunk=7)
    assert table[2] == BlobRef(8, 20, 200, 400, 1, Kind.FRAME)
    with pytest.raises(ManifestError):
        table[3]
    with pytest.raises(ManifestError):
        table[-1]


def test_extends_from_several_runs() -> None:
    table = BlobTable()
    columns = columns_of(table_of([10, 20, 30], 100), 100)
    table.extend(evolve(columns, runs=(Run(5, 100, 1), Run(9, 15, 2))))
    places = [(table[n].chunk, table[n].offset) for n in range(3)]
    assert places == [(5, 0), (9, 0), (10, 5)]


GOOD = columns_of(table_of([10, 20], 100), 100)


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
        evolve(GOOD, runs=(Run(0, 0, 2),)),
        evolve(GOOD, runs=(Run(0, 65_521, 2),)),
        evolve(GOOD, runs=(Run(0, 100, 2**32 - 1),)),
        evolve(GOOD, runs=(Run(STUDY_CHUNKS, 100, 2),)),
        evolve(GOOD, runs=(Run(2**32 - 1, 100, 2),)),
    ],
)
def test_bad_columns_add_nothing(bad: Columns) -> None:
    table = BlobTable()
    with pytest.raises(ManifestError):
        table.extend(bad)
    assert len(table) == 0
    table.extend(GOOD)


def test_copies_grow_apart() -> None:
    table = table_of([10], 100)
    other = table.copy()
    other.append(blob(5), 0, 10)
    assert (len(table), len(other)) == (1, 2)
    assert other[0] == table[0]
