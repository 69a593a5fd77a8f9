from hypothesis import given
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from peer.pages.live.chunk_map import CELLS, STEPS, chunk_map, runs


@given(st.sets(st.integers(0, 3000)), st.integers(0, 3000))
def test_a_map_is_bounded_and_true(have: set[int], total: int) -> None:
    digits = chunk_map(Bitfield(have), total)
    assert len(digits) == min(CELLS, total)
    missing = set(range(total)) - have
    assert (set(digits) <= {str(STEPS)}) == (not missing)
    if not have & set(range(total)):
        assert set(digits) <= {"0"}


@given(st.text("0123456789", max_size=300))
def test_runs_are_the_map_in_fewer_pieces(digits: str) -> None:
    cells = ["0"] * len(digits)
    for run in runs(digits):
        cells[run.first : run.first + run.count] = str(run.step) * run.count
    assert "".join(cells) == digits


def test_a_study_of_which_nothing_is_known_has_no_cells() -> None:
    assert chunk_map(Bitfield(), 0) == ""
    assert chunk_map(Bitfield([1]), 3) == "090"
    assert chunk_map(Bitfield(range(5)), 10, cells=3) == "960"
