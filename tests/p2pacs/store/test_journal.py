"""The journal of a study: what is held, and what of it is on its way to the disk."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import ChunkId
from p2pacs.store.chunk_index import Changes, Contents, Record
from p2pacs.store.extents import Extent
from p2pacs.store.journal import StudyJournal
from p2pacs.store.notes import NOTE_BYTES
from tests.p2pacs.store.samples import STUDY, chunk


def journal_of(numbers: Iterable[int] = ()) -> StudyJournal:
    places = [(n, Extent(1000 * at, 1000, chunk(n)[1])) for at, n in enumerate(numbers)]
    record = Record(1, STUDY, chunks=len(places), bytes=1000 * len(places))
    return StudyJournal.load(record, Contents(places, {}))


def test_as_the_index_has_it() -> None:
    journal = journal_of([4, 9])
    assert (list(journal.have), journal.end, journal.confirmed) == ([4, 9], 2000, True)
    assert journal.locate(9) == Extent(1000, 1000, chunk(9)[1])
    assert (journal.size(4), journal.size(5)) == (1000, 0)


def test_a_chunk_from_memory_to_the_file_to_the_index() -> None:
    journal = journal_of([4])
    journal.add(*chunk(5))
    assert journal.locate(5) == chunk(5)[2]
    assert (journal.unwritten_bytes, journal.record.chunks, journal.record.bytes) == (1000, 2, 2000)
    batch = journal.unwritten
    assert list(journal.places(batch)) == [(5, Extent(1000, 1000, chunk(5)[1]))]
    journal.written(batch)
    assert journal.locate(5) == Extent(1000, 1000, chunk(5)[1])
    assert (journal.unwritten, journal.noted, journal.confirmed) == ([], NOTE_BYTES, False)
    assert journal.take_changes().chunks.keys() == {5}
    assert journal.confirmed


def test_a_lost_chunk_need_not_be_written_or_confirmed() -> None:
    journal = journal_of([4])
    journal.add(*chunk(5))
    assert [journal.lose(number) for number in (4, 5, 6)] == [1000, 1000, 0]
    assert (journal.unwritten, journal.record.chunks, journal.record.bytes) == ([], 0, 0)
    assert journal.take_changes() == Changes(journal.record, lost={4})


def test_what_a_shorter_file_cannot_have() -> None:
    assert journal_of([4, 9, 1]).beyond(1500) == [1, 9]


def test_what_was_adopted_is_still_to_be_confirmed() -> None:
    journal = journal_of([4])
    noted = [(4, Extent(1000, 1000, chunk(4)[1])), (7, Extent(2000, 500, chunk(7)[1]))]
    assert journal.adopt(noted, 2 * NOTE_BYTES) == 500
    assert (list(journal.have), journal.end, journal.noted) == ([4, 7], 2500, 2 * NOTE_BYTES)
    assert journal.take_changes().chunks.keys() == {7}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "lose", "segment", "root"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["write", "commit", "fail"]), st.just(0)),
    ),
    max_size=30,
)


def _apply(index: dict[int, Extent], segments: set[ChunkId], changes: Changes) -> None:
    index.update(changes.chunks)
    for number in changes.lost:
        index.pop(number, None)
    segments.update(changes.segments)
    segments.difference_update(changes.unlisted)


@given(STEPS)
def test_commits_that_fail_lose_nothing(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in between: after the last commit the index has what the journal has."""
    journal, index, segments = journal_of(), dict[int, Extent](), set[ChunkId]()
    under_way: Changes | None = None
    for step, number in [*steps, ("commit", 0), ("write", 0), ("commit", 0)]:
        match step:
            case "add" if number not in journal.have:
                journal.add(*chunk(number))
            case "lose":
                journal.lose(number)
            case "segment":
                journal.put_segment(chunk(number)[1], b"")
            case "root":
                journal.put_root(b"", 1, [chunk(number)[1]])
            case "write":
                journal.written(journal.unwritten)
            case "fail":  # and is given back only after what comes next
                if under_way is not None:
                    journal.give_back(under_way)
                under_way = journal.take_changes()
            case "commit":
                if under_way is not None:
                    journal.give_back(under_way)
                    under_way = None
                _apply(index, segments, journal.take_changes())
    assert index == {n: journal.locate(n) for n in journal.have}
    assert segments == set(journal.segments)
    assert journal.record.bytes == sum(journal.size(n) for n in journal.have)


def _rot(journal: StudyJournal, number: int) -> Extent:
    place = journal.locate(number)
    assert isinstance(place, Extent)
    journal.lose_rotten(number, place)
    return place


def _written(journal: StudyJournal, chunk: tuple[int, ChunkId, bytes]) -> int:
    journal.add(*chunk)
    journal.written(journal.unwritten)
    place = journal.locate(chunk[0])
    assert isinstance(place, Extent)
    return place.offset


def test_a_chunk_that_rotted_goes_to_its_old_place_once() -> None:
    journal = journal_of([4, 9])
    _rot(journal, 4)
    assert _written(journal, chunk(4)) == 0
    _rot(journal, 4)
    assert _written(journal, chunk(4)) == 2000, "that place is bad"
    _rot(journal, 4)
    assert _written(journal, chunk(4)) == 2000
    assert journal.end == 3000


def test_another_chunk_does_not_go_to_the_place_of_one_that_rotted() -> None:
    """Its row in the index would name bytes that a power cut may have replaced, or not."""
    journal = journal_of([4, 9])
    _rot(journal, 4)
    assert _written(journal, (4, *chunk(5)[1:])) == 2000
    _rot(journal, 9)
    journal.cut(1500)
    assert _written(journal, chunk(9)) == 1500, "the file does not have that place any more"


def test_what_was_read_before_a_chunk_came_again_says_nothing_of_it() -> None:
    journal = journal_of([4, 9])
    before = journal.rewrites
    place = _rot(journal, 4)
    assert not journal.lies_at(4, place, before)
    _written(journal, chunk(4))
    assert journal.locate(4) == place
    assert not journal.lies_at(4, place, before)
    assert journal.lies_at(4, place, journal.rewrites)
