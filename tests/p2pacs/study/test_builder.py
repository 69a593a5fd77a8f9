import math
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import DuplicateInstanceError, UsageError, WrongStudyError
from p2pacs.ids import ChunkId
from p2pacs.limits import MIB, SEGMENT_CHUNKS
from p2pacs.study.builder import Appended, Cut, StudyBuilder
from p2pacs.study.codecs import ZSTD, ZSTD_WITH
from p2pacs.study.coding import code, code_plain
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, Coding
from p2pacs.study.manifest import check_successor, sign_root
from p2pacs.study.split import Kind
from p2pacs.study.study_index import LeftOut
from tests.p2pacs.study.samples import KEY, SIGNER, STUDY, STUDY_UID, Shelf, instance, smooth


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
    of_headers, of_frames = [len(list(run)) for run in _full_and_last(data)]
    assert (of_headers, of_frames) == (1, len(data) - 1)
    assert shelf.root.total_bytes == sum(len(chunk.data) for chunk in batch.chunks)


def _full_and_last(sizes: list[int]) -> Iterator[list[int]]:
    """Sizes of chunks run by run: all of 4096 bytes but the last of each."""
    run = list[int]()
    for size in sizes:
        run.append(size)
        assert 16 < size <= 4096
        if size < 4096:
            yield run
            run = []
    assert not run


def test_headers_lie_together_before_the_frames() -> None:
    shelf = Shelf()
    shelf.publish(instance(n) for n in range(1, 9))
    kinds = [shelf.index.blobs[number].kind for number in range(len(shelf.index.blobs))]
    at = kinds.index(Kind.HEADER)
    assert kinds[at : at + 8] == [Kind.HEADER] * 8
    assert Kind.FRAME not in kinds[:at]
    assert len({chunk for n in range(at, at + 8) for chunk in _chunks(shelf, n)}) == 1


def _chunks(shelf: Shelf, blob: int) -> set[int]:
    (span,) = shelf.index.blobs.spans(blob, 1)
    return set(range(span.first, span.last + 1))


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


def kinds_of(shelf: Shelf, since: int) -> Counter[tuple[Kind, int]]:
    """How many blobs of each kind and codec were added from this number on."""
    assert shelf.previous is not None
    blobs = shelf.previous.index.blobs
    return Counter((blobs[number].kind, blobs[number].codec) for number in range(since, len(blobs)))


def moved(shelf: Shelf, batch: Cut) -> int:
    """Chunks of a version that are no index."""
    assert shelf.root is not None
    return len(batch.chunks) - sum(
        part.count for part in shelf.root.parts if part.chunk >= batch.chunks[0].number
    )


ONE_FRAME = {
    Coding.SMALLEST: {(Kind.FRAME, JXL): 1, (Kind.PREVIEW, JXL): 1},
    Coding.PROGRESSIVE: {(Kind.FRAME, HTJ2K): 1, (Kind.FRAME, HTJ2K_NEXT): 2},
}


@pytest.mark.parametrize("coding", Coding)
class TestDelta:
    """Counted in blobs and chunks, with images that have previews and parts."""

    def shelf(self, coding: Coding) -> Shelf:
        shelf = Shelf()
        shelf.publish([smooth(n) for n in range(1, 6)], coding=coding, chunk_bytes=1024)
        assert kinds_of(shelf, 0) == Counter(
            {
                (Kind.HEADER, ZSTD): 1,
                (Kind.HEADER, ZSTD_WITH): 4,
                **{key: 5 * count for key, count in ONE_FRAME[coding].items()},
            }
        )
        return shelf

    @pytest.mark.parametrize("again", Coding)
    def test_the_same_study_moves_nothing(self, coding: Coding, again: Coding) -> None:
        shelf = self.shelf(coding)
        batch = shelf.publish([smooth(n) for n in range(1, 6)], coding=again)
        assert (batch.chunks, batch.segments) == ((), ())

    @pytest.mark.parametrize("again", Coding)
    def test_a_corrected_name_moves_only_headers(self, coding: Coding, again: Coding) -> None:
        """Also when the site chose another coding meanwhile."""
        shelf = self.shelf(coding)
        blobs = len(shelf.index.blobs)
        renamed = [smooth(n, PatientName="Corrected^Name") for n in range(1, 6)]
        batch = shelf.publish(renamed, coding=again)
        assert kinds_of(shelf, blobs) == {(Kind.HEADER, ZSTD): 1, (Kind.HEADER, ZSTD_WITH): 4}
        assert moved(shelf, batch) == 1
        assert list(shelf.all()) == renamed

    def test_a_late_series_moves_only_itself(self, coding: Coding) -> None:
        shelf, alone = self.shelf(coding), Shelf()
        late = [smooth(n, SeriesInstanceUID=f"{STUDY_UID}.2") for n in (11, 12)]
        batch = shelf.publish([*(smooth(n) for n in range(1, 6)), *late], coding=coding)
        first = alone.publish(late, coding=coding, chunk_bytes=1024)
        assert len(batch.chunks) == len(first.chunks)

    def test_an_equal_frame_finds_all_of_its_parts(self, coding: Coding) -> None:
        shelf = self.shelf(coding)
        blobs = len(shelf.index.blobs)
        copied = [smooth(n, SOPInstanceUID=f"{STUDY_UID}.9.{n}") for n in (1, 2)]
        shelf.publish(copied, coding=coding)
        assert kinds_of(shelf, blobs) == {(Kind.HEADER, ZSTD): 1, (Kind.HEADER, ZSTD_WITH): 1}
        entries = shelf.index.instances
        for copy in copied:
            original = entries[copy.sop_instance_uid.replace(".9.", ".1.")]
            assert list(entries[copy.sop_instance_uid].blobs)[1:] == list(original.blobs)[1:]
            assert entries[copy.sop_instance_uid].previews == original.previews
            assert entries[copy.sop_instance_uid].frames == 1

    def test_equal_frames_of_one_instance(self, coding: Coding) -> None:
        shelf = Shelf()
        frame = smooth(1).data[-131072:]
        many = smooth(1, NumberOfFrames=7, PixelData=frame * 7)
        shelf.publish([many], coding=coding)
        assert kinds_of(shelf, 0) == {(Kind.HEADER, ZSTD): 1, **ONE_FRAME[coding]}
        (entry,) = shelf.index.instances.values()
        assert entry.frames == 7
        assert list(shelf.all()) == [many]


def test_a_frame_that_is_known_without_its_preview_gets_it() -> None:
    """It was coded without images then, after a crash."""
    made = builder()
    made.append(code_plain(smooth(1)))
    made.cut()
    shelf = Shelf(previous=made.published())
    blobs = len(shelf.index.blobs)
    shelf.publish([smooth(1, PatientName="X"), smooth(1, SOPInstanceUID="1.2.3")])
    assert kinds_of(shelf, blobs) == {
        (Kind.HEADER, ZSTD): 1,
        (Kind.HEADER, ZSTD_WITH): 1,
        (Kind.PREVIEW, JXL): 1,
    }
    assert {entry.frames for entry in shelf.index.instances.values()} == {1}


def test_a_frame_in_parts_needs_no_preview() -> None:
    shelf = Shelf()
    shelf.publish([smooth(1)], coding=Coding.PROGRESSIVE)
    shelf.publish([smooth(1, PatientName="X")], coding=Coding.SMALLEST)
    assert (Kind.PREVIEW, JXL) not in kinds_of(shelf, 0)


def test_headers_of_series_that_come_mixed() -> None:
    shelf = Shelf()
    mixed = [
        instance(n, SeriesInstanceUID=f"{STUDY_UID}.{n % 3}", SeriesNumber=n % 3)
        for n in range(1, 13)
    ]
    shelf.publish(mixed)
    headers = {key: n for key, n in kinds_of(shelf, 0).items() if key[0] is Kind.HEADER}
    assert headers == {(Kind.HEADER, ZSTD): 3, (Kind.HEADER, ZSTD_WITH): 9}
    assert list(shelf.all()) == mixed


def test_a_dictionary_serves_all_cuts_of_a_builder_and_no_other() -> None:
    made, shelf = builder(), Shelf()
    for number in range(1, 5):
        made.append(code(instance(number)))
        batch = made.cut()
        shelf.take(batch, sign_root(made.root(complete=False), SIGNER))
    shelf.previous = made.published()
    bases = [shelf.index.blobs[number].base for number in range(len(shelf.index.blobs))]
    assert bases == [None, None, 0, None, 0, None, 0, None]
    blobs = len(bases)
    shelf.publish([instance(number) for number in range(5, 8)])
    assert [shelf.index.blobs[n].base for n in range(blobs, len(shelf.index.blobs))] == [
        None,
        blobs,
        blobs,
        *[None] * 3,
    ]
    assert list(shelf.all()) == [instance(number) for number in range(1, 8)]


@pytest.mark.filterwarnings("ignore")  # pydicom comments on long values
def test_long_headers_have_no_dictionary_and_are_none() -> None:
    shelf = Shelf()
    long = [instance(n, ImageComments="x" * (MIB + n)) for n in (1, 2)]
    shelf.publish([*long, instance(3)])
    assert kinds_of(shelf, 0)[Kind.HEADER, ZSTD] == 3
    assert list(shelf.all()) == [*long, instance(3)]


def test_coarse_levels_lie_before_fine_ones_in_every_cut() -> None:
    shelf = Shelf()
    shelf.publish([smooth(n) for n in (1, 2)], coding=Coding.PROGRESSIVE, chunk_bytes=1024)
    blobs = shelf.index.blobs
    assert [blobs.level(number) for number in range(len(blobs))] == [2, 2, 1, 1, 0, 0, 0, 0]
    chunks = [blobs[number].chunk for number in range(len(blobs))]
    assert chunks == sorted(chunks)
    assert len({blobs[number].chunk for number in (0, 2, 4)}) == 3


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


def test_what_is_withdrawn_is_in_no_later_version() -> None:
    shelf = Shelf()
    sent = [instance(n) for n in range(1, 5)]
    shelf.publish(sent)
    before = shelf.root
    made = builder(shelf)
    uid = sent[1].sop_instance_uid
    assert made.withdraw([uid, "1.9"]) == 1
    assert made.instances == 3
    batch = made.cut()
    assert len(batch.chunks) == 1  # of the index
    shelf.take(batch, sign_root(made.root(complete=True), SIGNER))
    shelf.previous = made.published()
    assert before is not None
    assert shelf.root is not None
    check_successor(before, shelf.root)
    assert list(shelf.all()) == [sent[0], *sent[2:]]
    again = shelf.publish([sent[1]])
    assert len(again.chunks) == 1  # its blobs are there still
    assert {one.sop_instance_uid for one in shelf.all()} == {one.sop_instance_uid for one in sent}


def test_an_instance_that_is_withdrawn_and_comes_again_at_once() -> None:
    shelf = Shelf()
    sent = [instance(n) for n in range(1, 3)]
    shelf.publish(sent)
    made = builder(shelf)
    made.withdraw([sent[0].sop_instance_uid])
    assert made.append(code_plain(sent[0])) is Appended.NEW
    shelf.take(made.cut(), sign_root(made.root(complete=True), SIGNER))
    shelf.previous = made.published()
    assert {one.sop_instance_uid for one in shelf.all()} == set(shelf.index.instances)
    assert shelf.index.withdrawn == set()


def test_what_is_missing_is_told_once() -> None:
    shelf = Shelf()
    shelf.publish([instance(1)])
    left_out = LeftOut(("1.2.9",), 1, "2: lost")
    made = builder(shelf)
    made.leave_out(left_out)
    shelf.take(made.cut(), sign_root(made.root(complete=True), SIGNER))
    shelf.previous = made.published()
    reader = shelf.reader()
    reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    assert reader.index.left_out == left_out
    made = builder(shelf)
    made.leave_out(left_out)
    assert made.cut() == Cut((), ())
    assert made.root(complete=True) == shelf.root


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
    st.lists(
        st.tuples(st.lists(st.integers(1, 6), max_size=5), st.sampled_from(Coding)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([1024, 5000, 65536]),
)
def test_whatever_is_published_in_whatever_steps_comes_back(
    steps: list[tuple[list[int], Coding]], chunk_bytes: int
) -> None:
    shelf, newest = Shelf(), {}
    for version, (numbers, coding) in enumerate(steps):
        sent = [made_of(n, version if n > 3 else 0) for n in numbers]
        shelf.publish(sent, chunk_bytes=chunk_bytes, coding=coding)
        newest.update({each.sop_instance_uid: each for each in sent})
    assert {each.sop_instance_uid: each for each in shelf.all()} == newest


def made_of(number: int, version: int) -> EncodedInstance:
    """One of few: with and without preview, of one and of three frames, two of them equal."""
    series = f"{STUDY_UID}.{number % 2}"
    if number % 3:
        return instance(number, SeriesNumber=version, SeriesInstanceUID=series)
    frame = smooth(number, 80).data[-12800:]
    return smooth(
        number,
        80,
        SeriesNumber=version,
        SeriesInstanceUID=series,
        NumberOfFrames=3,
        PixelData=frame + smooth(number + version, 80).data[-12800:] + frame,
    )


def test_small_instances_are_appended_quickly() -> None:
    """The builder is not parallel, coding is: appending that took as long would halve the rate.

    Both in processor time of the same run, so that it is true of any machine.
    """
    began = time.thread_time()
    codeds = [code(instance(number)) for number in range(200)]
    coding = (time.thread_time() - began) / 200
    made, best = builder(), math.inf
    for at in range(0, 200, 50):
        began = time.thread_time()
        for coded in codeds[at : at + 50]:
            made.append(coded)
        best = min(best, time.thread_time() - began)
    assert best / 50 < coding / 4


def test_what_the_index_will_hold_is_pending_too() -> None:
    made = builder()
    made.append(code(instance(1)))
    coded = code(instance(2, PixelData=instance(1).data[-8192:]))
    before = made.pending_bytes
    made.append(coded)
    assert made.pending_bytes > before + len(coded.attributes)
