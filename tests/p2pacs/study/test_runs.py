from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import ChunkId
from p2pacs.study.blobs import BlobRun, BlobTable
from p2pacs.study.codecs import RAW, ZSTD_WITH
from p2pacs.study.coding import CodedBlob, digest_of
from p2pacs.study.runs import END_BLOB, SMALL_BYTES, Closed, OpenRuns
from p2pacs.study.seal import open_chunk
from p2pacs.study.split import Kind
from tests.p2pacs.study.samples import KEY


def blob(content: bytes, level: int = 0) -> CodedBlob:
    return CodedBlob(Kind.FRAME, RAW, content, len(content), digest_of(content), level)


def contents(closed: Closed, first_blob: int, first_chunk: int) -> list[bytes]:
    """What the chunks hold of each blob, found by the columns alone."""
    table = BlobTable()
    table.extend(closed.columns)
    found = []
    for number in range(len(table)):
        ref = table[number]
        (span,) = table.spans(number, 1)
        chunks = closed.chunks[span.first - first_chunk : span.last + 1 - first_chunk]
        plain = b"".join(open_chunk(KEY, data) for _, data in chunks)
        found.append(plain[ref.offset : ref.offset + ref.coded])
    return found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=50)), max_size=20),
    st.integers(1, 30),
    st.integers(0, 1000),
    st.booleans(),
    st.booleans(),
)
def test_everything_lies_where_the_columns_say(
    blobs: list[tuple[int, bytes]], plain_bytes: int, first: int, begins: bool, ends: bool
) -> None:
    runs = OpenRuns(KEY, plain_bytes, begins=begins)
    places = [runs.add(blob(content, level)) for level, content in blobs]
    assert runs.pending_bytes == sum(len(content) for _, content in blobs)
    assert all(place < 0 for place in places)
    most = runs.chunks_with(0, 0)
    closed = runs.close(0, first, ends=ends)
    assert len(closed.chunks) <= most
    assert runs.pending_bytes == 0
    assert sorted(map(closed.number, places)) == list(range(len(blobs)))
    laid = contents(closed, 0, first)
    for place, (level, content) in zip(places, blobs, strict=True):
        number = closed.number(place)
        assert laid[number] == content
        assert closed.keys[number] == blob(content, level).key
    levels = [run.level for run in closed.columns.runs]
    levels = list(dict.fromkeys(levels)) if ends else levels
    assert levels == sorted({level for level, _ in blobs}, reverse=True)
    assert all(ChunkId.of(data) == chunk for chunk, data in closed.chunks)
    assert {len(data) for _, data in closed.chunks} <= set(range(17, plain_bytes + 17))


def test_numbers_stay_and_runs_begin_anew() -> None:
    runs = OpenRuns(KEY, 100, begins=False)
    fine, coarse = runs.add(blob(b"fine")), runs.add(blob(b"coarse", 2))
    closed = runs.close(50, 7)
    assert (closed.number(coarse), closed.number(fine), closed.number(3)) == (50, 51, 3)
    assert closed.columns.runs == (BlobRun(7, 100, 1, 2), BlobRun(8, 100, 1, 0))
    later = runs.add(blob(b"later"))
    again = runs.close(52, 9)
    assert again.number(later) == 52
    assert again.columns.runs == (BlobRun(9, 100, 1, 0),)
    assert runs.close(53, 10).chunks == ()


def test_dictionaries_by_number() -> None:
    runs = OpenRuns(KEY, 100, begins=False)
    runs.add(blob(b"preview", 3))
    first = runs.add(CodedBlob(Kind.HEADER, RAW, b"first", 5, digest_of(b"first")))
    for base in (first, 4):
        with_ = CodedBlob(Kind.HEADER, ZSTD_WITH, b"?", 5, digest_of(bytes([base % 256])))
        runs.add(with_, base)
    closed = runs.close(10, 0)
    assert closed.columns.base == bytes.fromhex("0000000b 00000004")


def test_full_chunks_are_sealed_once_the_next_blob_is_there() -> None:
    runs = OpenRuns(KEY, 10, begins=False)
    runs.add(blob(bytes(25)))
    runs.add(blob(bytes(1)))
    (run,) = runs._runs.values()
    assert (len(run.sealed), len(run.open)) == (2, 6)


def test_a_study_ends_with_small_chunks() -> None:
    runs = OpenRuns(KEY, 32_624, begins=False)
    blobs = [blob(bytes([number]) * 100_000) for number in range(3)]
    places = [runs.add(one) for one in blobs]
    runs.add(blob(b"preview" * 10_000, 2))
    closed = runs.close(0, 0, ends=True)
    spans = [(run.level, run.plain_bytes, run.blobs) for run in closed.columns.runs]
    assert spans == [(2, SMALL_BYTES, 1), (0, 32_624, 2), (0, SMALL_BYTES, 1)]
    assert [len(data) for _, data in closed.chunks[-13:]] == [8192] * 12 + [
        100_000 - 12 * 8176 + 16
    ]
    laid = contents(closed, 0, 0)
    assert [laid[closed.number(place)] for place in places] == [one.coded for one in blobs]


def test_of_a_study_that_ends_with_one_blob_all_is_small_unless_it_is_large() -> None:
    runs = OpenRuns(KEY, 32_624, begins=False)
    runs.add(blob(bytes(100_000)))
    assert runs.close(0, 0, ends=True).columns.runs == (BlobRun(0, SMALL_BYTES, 1, 0),)
    runs.add(blob(bytes(END_BLOB + 1)))
    assert runs.close(1, 13, ends=True).columns.runs == (BlobRun(13, 32_624, 1, 0),)


def test_a_study_begins_with_small_chunks_and_so_do_its_coarse_levels() -> None:
    runs = OpenRuns(KEY, 32_624, begins=True)
    for number in range(6):
        runs.add(blob(bytes([number]) * 100_000))
    runs.add(blob(b"preview" * 10_000, 2))
    runs.add(blob(b"half" * 10_000, 1))
    closed = runs.close(0, 0)
    assert [(run.level, run.plain_bytes, run.blobs) for run in closed.columns.runs] == [
        (2, SMALL_BYTES, 1),
        (1, 32_624, 1),
        (0, SMALL_BYTES, 4),  # as many as there are within the first 384 KiB
        (0, 32_624, 2),
    ]
    runs.add(blob(bytes(100_000)))
    assert [run.plain_bytes for run in runs.close(8, 100).columns.runs] == [32_624]


def test_a_large_image_does_not_come_in_small_chunks() -> None:
    runs = OpenRuns(KEY, 32_624, begins=True)
    runs.add(blob(bytes(2_000_000)))
    runs.add(blob(b"small"))
    assert [run.plain_bytes for run in runs.close(0, 0).columns.runs] == [32_624]
