"""The paced line on simulated lines: who is offered what, and what goes next."""

from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.identity.directory import Role
from p2pacs.limits import CHUNK_BYTES, KIB
from p2pacs.swarm.circle import STARVED_SECONDS
from p2pacs.swarm.dispatch import LEAST_BLOCK, RECORD_DATA, block_bytes, cut
from p2pacs.swarm.paced import Line
from p2pacs.swarm.pacing import NO_OVERHEAD
from tests.simulation.lines import Nic
from tests.simulation.world import Study, adsl, fetched, open_world, paced

Clock = trio.testing.MockClock

RATES = st.floats(0, 2e9)

# ---------------------------------------------------------------- blocks


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


# ---------------------------------------------------------------- offers


@pytest.mark.parametrize(
    ("rate", "chunk", "seconds"), [(100_000, 2 * KIB, 14.0), (125_000_000, 4 * KIB, 3.0)]
)
async def test_offers_fit_in_a_message(
    autojump_clock: Clock, tmp_path: Path, rate: int, chunk: int, seconds: float
) -> None:
    async with open_world(tmp_path) as world:
        line = Line(uplink=8 * rate, overhead=NO_OVERHEAD)
        broker = await world.add("broker", Role.BROKER, nic=Nic(up=rate), line=line)
        study = Study(world.key, chunk=chunk)
        study.grow(600)
        await study.put(broker.store)
        hospital = await world.add("hospital")
        start = trio.current_time()
        await hospital.fetch(study, []).wait_complete()
        await fetched(hospital, study)
        assert trio.current_time() - start < seconds


async def test_whoever_gets_nothing_elsewhere_is_served_by_the_broker_in_full(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER, nic=adsl(), line=paced())
        study = Study(world.key)
        study.grow(32)
        await study.put(broker.store)
        seconds = 32 * study.chunk / 100_000
        near, far = [await world.add(name, nic=adsl(), line=paced()) for name in ("near", "far")]
        await near.fetch(study, []).wait_complete()  # from now on the broker is not the only one
        start = trio.current_time()
        transfer = far.fetch(study, [])
        await transfer.wait_complete()
        assert set(transfer.sources) == {broker.address}
        assert trio.current_time() - start < STARVED_SECONDS + 1.1 * seconds + 1
