import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.errors import DuplicateInstanceError, UsageError, WrongStudyError
from p2pacs.ids import ChunkId
from p2pacs.instance import EncodedInstance
from p2pacs.limits import SEGMENT_CHUNKS
from p2pacs.study.builder import Appended, StudyBuilder
from p2pacs.study.coding import code
from p2pacs.study.manifest import check_successor
from tests.p2pacs.study.samples import KEY, STUDY, STUDY_UID, Shelf, instance


def builder(shelf: Shelf | None = None, **options: int) -> StudyBuilder:
    return StudyBuilder(STUDY, KEY, STUDY_UID, shelf.previous if shelf else None, **options)


def test_chunks_are_full_but_the_last_of_a_run() -> None:
    shelf = Shelf()
    batch = shelf.publish((instance(n) for n in range(1, 9)), chunk_bytes=4096)
    assert [chunk.number for chunk in batch.chunks] == list(range(len(batch.chunks)))
    assert all(chunk.id == ChunkId.of(chunk.data) for chunk in batch.chunks)
    assert shelf.root is not None
    (part,) = shelf.root.parts
    data = [len(chunk.data) for chunk in batch.chunks[: part.chunk]]
    assert set(data[:-1]) == {4096}
    assert 16 < data[-1] <= 4096
    assert shelf.root.total_bytes == sum(len(chunk.data) for chunk in batch.chunks)


def test_unchanged_study_moves_nothing() -> None:
    shelf = Shelf()
    instances = [instance(n) for n in range(1, 9)]
    shelf.publish(instances)
    before = shelf.root
    batch = shelf.publish(instances)
    assert batch.chunks == ()
    assert batch.segments == ()
    assert shelf.root == before


def test_corrected_name_moves_only_headers() -> None:
    shelf = Shelf()
    first = shelf.publish([instance(n) for n in range(1, 41)], chunk_bytes=8192)
    renamed = [instance(n, PatientName="Corrected^Name") for n in range(1, 41)]
    second = shelf.publish(renamed)
    assert shelf.root is not None
    assert len(second.chunks) - shelf.root.parts[1].count == 1
    assert len(second.chunks) < len(first.chunks) / 6
    assert list(shelf.all()) == renamed


def test_late_series_moves_only_itself() -> None:
    shelf, alone = Shelf(), Shelf()
    early = [instance(n) for n in range(1, 21)]
    late = [instance(n, SeriesInstanceUID=f"{STUDY_UID}.2") for n in range(21, 26)]
    shelf.publish(early, chunk_bytes=8192)
    batch = shelf.publish([*early, *late])
    assert len(batch.chunks) == len(alone.publish(late, chunk_bytes=8192).chunks)
    assert list(shelf.all()) == early + late


def test_equal_frames_are_kept_once() -> None:
    shelf = Shelf()
    same = [instance(n, PixelData=instance(1).data[-8192:]) for n in range(1, 30)]
    batch = shelf.publish(same, chunk_bytes=4096)
    assert len(batch.chunks) < 6
    assert list(shelf.all()) == same


def test_what_append_tells() -> None:
    shelf = Shelf()
    shelf.publish([instance(1)])
    again = builder(shelf)
    assert again.append(code(instance(1))) is Appended.UNCHANGED
    assert again.append(code(instance(2))) is Appended.NEW
    assert again.append(code(instance(2))) is Appended.UNCHANGED
    assert again.instances == 2
    changed = builder(shelf)
    assert changed.append(code(instance(1, PatientName="X"))) is Appended.CHANGED


def test_transfer_syntax_is_part_of_the_identity() -> None:
    shelf = Shelf()
    one = instance(1)
    other = EncodedInstance(one.sop_class_uid, one.sop_instance_uid, "1.2.3", one.data)
    shelf.publish([one])
    shelf.publish([other])
    assert list(shelf.all()) == [other]


def test_another_study_is_refused_and_nothing_is_lost() -> None:
    shelf = Shelf()
    made = builder()
    made.append(code(instance(1)))
    with pytest.raises(WrongStudyError) as caught:
        made.append(code(instance(2, StudyInstanceUID="9.8.7")))
    assert "9.8.7" not in str(caught.value)
    made.append(code(instance(3)))
    made.cut()
    assert made.instances == 2
    assert shelf.root is None


def test_one_uid_with_different_bytes_is_refused_and_the_first_kept() -> None:
    made = builder()
    made.append(code(instance(1)))
    with pytest.raises(DuplicateInstanceError) as caught:
        made.append(code(instance(1, PatientName="X")))
    assert instance(1).sop_instance_uid not in str(caught.value)
    made.cut()
    with pytest.raises(DuplicateInstanceError):
        made.append(code(instance(1, PatientName="X")))
    assert made.append(code(instance(1))) is Appended.UNCHANGED


def test_growing_versions_succeed_each_other() -> None:
    made, roots = builder(chunk_bytes=1024), []
    for number in range(1, 30):
        made.append(code(instance(number)))
        if number % 7 == 0:
            made.cut()
            roots.append(made.root(complete=False))
    made.cut()
    roots.append(made.root(complete=True))
    assert [root.version for root in roots] == [1, 2, 3, 4, 5]
    for old, new in pairwise(roots):
        check_successor(old, new)


def test_segments_of_a_cut_are_the_new_and_the_last() -> None:
    made, seen = builder(chunk_bytes=1024), {}
    for number in range(1, 1200):
        made.append(code(instance(number)))
        if number % 100 == 0:
            seen.update(made.cut().segments)
    batch = made.cut()
    seen.update(batch.segments)
    root = made.root(complete=True)
    assert root.chunks > 3 * SEGMENT_CHUNKS
    assert set(root.segments) <= seen.keys()
    assert len(batch.segments) <= 2


def test_only_completeness_changes() -> None:
    shelf = Shelf()
    shelf.publish([instance(1)], complete=False)
    chunks = dict(shelf.chunks)
    batch = shelf.publish([], complete=True)
    assert batch.chunks == ()
    assert shelf.root is not None
    assert (shelf.root.version, shelf.root.complete) == (2, True)
    assert shelf.chunks == chunks


def test_published_is_not_changed_by_later_builders() -> None:
    shelf = Shelf()
    shelf.publish([instance(1)])
    previous = shelf.previous
    assert previous is not None
    counts = (len(previous.chunks), len(previous.index.instances), len(previous.index.blobs))
    other = builder(shelf)
    other.append(code(instance(2)))
    other.cut()
    other.root(complete=True)
    assert counts == (
        len(previous.chunks),
        len(previous.index.instances),
        len(previous.index.blobs),
    )


def test_a_study_keeps_its_chunk_size() -> None:
    shelf = Shelf()
    shelf.publish([instance(1)], chunk_bytes=2048)
    shelf.publish([instance(2)], chunk_bytes=65536)
    assert shelf.root is not None
    assert shelf.root.chunk_bytes == 2048
    assert max(len(chunk) for chunk in shelf.chunks.values()) == 2048


@pytest.mark.parametrize("size", [0, 1023, 65_537])
def test_impossible_chunk_sizes(size: int) -> None:
    with pytest.raises(UsageError):
        builder(chunk_bytes=size)


def test_same_input_gives_same_chunks() -> None:
    one, other = Shelf(), Shelf()
    for shelf in (one, other):
        shelf.publish(instance(n) for n in range(1, 5))
    assert one.chunks == other.chunks
    assert one.root == other.root


def test_pending_bytes_and_memory_between_cuts() -> None:
    made = builder()
    tracemalloc.start()
    for number in range(1, 200):
        made.append(code(instance(number)))
        if made.pending_bytes > 100_000:
            made.cut()
            assert made.pending_bytes == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(1, 6), max_size=5), min_size=1, max_size=4),
    st.sampled_from([1024, 5000, 65536]),
)
def test_whatever_is_published_in_whatever_steps_comes_back(
    steps: list[list[int]], chunk_bytes: int
) -> None:
    shelf, newest = Shelf(), {}
    for version, numbers in enumerate(steps):
        sent = [instance(n, SeriesNumber=version if n > 3 else 0) for n in numbers]
        shelf.publish(sent, chunk_bytes=chunk_bytes)
        newest.update({each.sop_instance_uid: each for each in sent})
    assert {each.sop_instance_uid: each for each in shelf.all()} == newest
