"""Notes of what was written: whole or not at all, and never believed."""

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import ChunkId
from p2pacs.limits import CHUNK_BYTES, STUDY_CHUNKS
from p2pacs.store.extents import Extent
from p2pacs.store.notes import NOTE_BYTES, pack, unpack

places = st.builds(
    Extent,
    st.integers(0, 2**63),
    st.integers(1, CHUNK_BYTES),
    st.binary(min_size=32, max_size=32).map(ChunkId),
)
notes = st.lists(st.tuples(st.integers(0, STUDY_CHUNKS - 1), places))


@given(notes, st.binary(max_size=NOTE_BYTES - 1))
def test_notes_are_read_as_they_were_written(
    written: list[tuple[int, Extent]], rest: bytes
) -> None:
    assert len(pack(written)) == NOTE_BYTES * len(written)
    assert list(unpack(pack(written) + rest)) == written


@given(st.binary(max_size=1000))
def test_garbage_is_no_note_that_cannot_be(raw: bytes) -> None:
    for number, place in unpack(raw):
        assert number < STUDY_CHUNKS
        assert 0 < place.size <= CHUNK_BYTES
