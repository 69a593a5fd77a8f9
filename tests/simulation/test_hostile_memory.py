"""What a member that misbehaves costs in memory is bounded, and given back when it is gone."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import trio
from attrs import define

from p2pacs.bitfield import Bitfield
from p2pacs.identity.directory import Role
from p2pacs.limits import JOINED_STUDIES, KIB, MIB, STUDY_CHUNKS
from p2pacs.line.line import Line
from p2pacs.line.pacing import NO_OVERHEAD
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Join, Message
from tests.simulation.nic import Nic
from tests.simulation.rogue import Behaviour, Rogue, Talk
from tests.simulation.world import Study, open_world


@define
class Cost:
    """Bytes of the whole process, over what they were before the rogue came."""

    most: int = 0
    at_the_end: int = 0
    after: int = 0
    """When the rogue is gone."""


@contextmanager
def traced() -> Iterator[Callable[[], tuple[int, int]]]:
    """Counts bytes from now on; gives a function that tells those held and their most."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]

        def told() -> tuple[int, int]:
            gc.collect()
            now, most = tracemalloc.get_traced_memory()
            return now - before, most - before

        yield told
    finally:
        tracemalloc.stop()


async def cost_of(tmp_path: Path, behave: Behaviour, *, line: Line | None = None) -> Cost:
    """What it costs a member that a rogue does this on a fast line for ten seconds."""
    cost = Cost()
    line_of_rogue = Nic(up=8e6, down=1e9, delay=0.001)
    async with open_world(tmp_path) as world:
        study = Study(world.key)
        study.grow(600)
        await world.add("broker", Role.BROKER)
        victim = await world.add("victim", Role.REPLICA, nic=Nic(up=1e9, down=1e9), line=line)
        await study.put(victim.store)
        rogue = await world.add("rogue", kind=Rogue, nic=line_of_rogue)
        assert isinstance(rogue, Rogue)
        rogue.study, rogue.behave = study, behave
        await trio.sleep(1)
        with traced() as told:
            world.nursery.start_soon(rogue.dial, victim)
            await trio.sleep(10)
            cost.at_the_end, cost.most = told()
            rogue.kill()
            for member in (rogue, victim):
                member.streams.clear()  # the simulation's, with what was not read
            await trio.sleep(10)
            cost.after, _ = told()
        assert victim.up
    return cost


FULL = b"\xff" * (STUDY_CHUNKS // 8)


async def join_all_that_it_may(talk: Talk) -> None:
    """Claims the largest study again and again, each time another one."""
    for number in range(JOINED_STUDIES):
        await talk.say(Join(number.to_bytes(16, "big"), 1, FULL, False, 0, False))
    await talk.listen(_nothing)


async def claim_the_last_chunk(talk: Talk) -> None:
    """Joins with nothing, then announces the last chunk that a study can have."""
    for number in range(JOINED_STUDIES):
        study = number.to_bytes(16, "big")
        last = messages.Have(study, [(STUDY_CHUNKS - 1, 1)])
        await talk.say(Join(study, 1, b"", False, 0, False), last)
    await talk.listen(_nothing)


async def _nothing(_: Message) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("behave", [join_all_that_it_may, claim_the_last_chunk])
async def test_who_joins_a_thousand_studies_holds_little(
    autojump_clock: object, tmp_path: Path, behave: Behaviour
) -> None:
    cost = await cost_of(tmp_path, behave)
    assert cost.at_the_end < 8 * MIB
    assert cost.most < 16 * MIB
    assert cost.after < MIB


async def test_honest_joins_of_a_thousand_studies_are_kept(
    autojump_clock: object, tmp_path: Path
) -> None:
    have = bytes(Bitfield(range(8 * KIB)))  # 256 to 512 MiB each
    studies = JOINED_STUDIES - 1

    async def behave(talk: Talk) -> None:
        for number in range(studies):
            study = number.to_bytes(16, "big")
            await talk.say(Join(study, 1, have, False, 0, False))
        await talk.listen(_nothing)

    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        victim = await world.add("victim", Role.REPLICA)
        rogue = await world.add("rogue", kind=Rogue, nic=Nic(up=1e9))
        assert isinstance(rogue, Rogue)
        rogue.study, rogue.behave = Study(world.key), behave
        world.nursery.start_soon(rogue.dial, victim)
        await trio.sleep(10)
        swarms = list(victim.host.engine.swarms)
        assert len(swarms) == studies
        assert all(len(swarm.partners[rogue.address].has) == 8 * KIB for swarm in swarms)


# ---------------------------------------------------------------- it never reads


async def ask_for_roots_and_never_read(talk: Talk) -> None:
    """Asks for the manifest, and does not look at it."""
    await talk.join(fetching=True, have=False)
    for number in count(1):  # ids that nobody has used
        asked = [messages.ManifestQuery(64 * number + n, talk.id, 0) for n in range(64)]
        await talk.say(*asked)
        await trio.sleep(0.5)


async def ask_for_chunks_and_never_read(talk: Talk) -> None:
    """Asks for all chunks, and takes none."""
    await talk.join(fetching=True, have=False)
    size = len(talk.study.data)
    while True:
        for first in range(0, size, 200):
            await talk.say(messages.Request(talk.id, list(range(first, min(size, first + 200)))))
        await trio.sleep(0.5)


@pytest.mark.parametrize("behave", [ask_for_roots_and_never_read, ask_for_chunks_and_never_read])
@pytest.mark.parametrize("paced", [False, True])
async def test_who_never_reads_holds_little(
    autojump_clock: object, tmp_path: Path, behave: Behaviour, paced: bool
) -> None:
    line = Line(uplink=10**9, overhead=NO_OVERHEAD) if paced else None
    cost = await cost_of(tmp_path, behave, line=line)
    assert cost.most < 24 * MIB
    assert cost.after < MIB
