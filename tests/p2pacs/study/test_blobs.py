import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import ManifestError
from p2pacs.limits import BLOB_BYTES, STUDY_CHUNKS
from p2pacs.study.blobs import BlobRef, BlobTable, Columns, Run
from p2pacs.study.codecs import ZSTD
from p2pacs.study.coding import digest_of
from p2pacs.study.split import Kind


def columns_of(
    lengths: list[int], plain_bytes: int, first_chunk: int = 0, kind: Kind = Kind.FRAME
) -> Columns:
    """Blobs of zstd, each twice as long when decoded, in one run."""
    return Columns(
        runs=(Run(first_chunk, plain_bytes, len(lengths)),) if lengths else (),
        coded=pack(lengths),
        size=pack([2 * length for length in lengths]),
        codec=bytes([ZSTD]) * len(lengths),
        kind=bytes([kind]) * len(lengths),
        digest=b"".join(digest_of(str(length).encode()) for length in lengths),
    )


def pack(numbers: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


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
    table = table_of(evolve(columns, runs=(Run(5, 100, 1, 3), Run(9, 15, 2))))
    places = [(table[n].chunk, table[n].offset, table[n].level) for n in range(3)]
    assert places == [(5, 0, 3), (9, 0, 0), (10, 5, 0)]


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
    table = table_of(columns_of([10], 100))
    other = table.copy()
    other.extend(columns_of([5], 100, 1))
    assert (len(table), len(other)) == (1, 2)
    assert other[0] == table[0]
