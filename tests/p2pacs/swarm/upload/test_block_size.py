"""Blocks are small on slow lines, and few on fast ones."""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.upload.block_size import LEAST_BLOCK, RECORD_DATA, block_bytes, cut

Clock = trio.testing.MockClock


RATES = st.floats(0, 2e9)


@given(RATES, RATES)
def test_blocks_are_bounded_and_grow_with_the_line(one: float, other: float) -> None:
    slow, fast = block_bytes(min(one, other)), block_bytes(max(one, other))
    assert LEAST_BLOCK <= slow <= fast <= CHUNK_BYTES


def test_blocks_of_slow_lines_fit_in_a_record() -> None:
    assert block_bytes(100_000) == RECORD_DATA
    assert block_bytes(16_000) == 2720
    assert block_bytes(0) == LEAST_BLOCK
    assert block_bytes(125_000_000) == CHUNK_BYTES


@given(st.integers(0, CHUNK_BYTES), st.integers(1, CHUNK_BYTES))
def test_a_chunk_is_cut_in_few_blocks_of_equal_size(size: int, most: int) -> None:
    data = cut(size, most)
    assert data <= most
    if size:
        blocks = -(-size // data)
        assert blocks == -(-size // most)
        assert data - (size - (blocks - 1) * data) < blocks  # the last one is hardly shorter
