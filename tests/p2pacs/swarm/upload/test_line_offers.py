"""What the paced line offers, to whom, and how often."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.ids import ChunkId, VirtualAddress
from p2pacs.limits import KIB
from p2pacs.line.line import Line
from p2pacs.line.pacing import NO_OVERHEAD
from p2pacs.swarm.scheduling.offers import TUNING as OFFERS
from p2pacs.swarm.studies.study_swarm import TUNING as STUDY
from p2pacs.wire.messages.messages import Offer
from tests.p2pacs.swarm.partners import (
    CHUNK,
    CT,
    RATE,
    Member,
    PacedLine,
    as_advised,
    nothing,
    paced_line,
)
from tests.simulation.nic import Nic
from tests.simulation.world import Study, adsl, fetched, open_world, paced

Clock = trio.testing.MockClock
SENDER = VirtualAddress(b"\xfd" + bytes(15))


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
        assert trio.current_time() - start < STUDY.starved_seconds + 1.1 * seconds + 1


async def test_what_is_free_is_offered_again_at_once(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one, other = line.add(1, answer=nothing), line.add(2, answer=nothing)
        await trio.sleep(0.2)
        third = line.add(3)
        await trio.sleep(0.2)
        assert len(one.offers) == len(other.offers) == 1
        assert third.offers[0][0] == pytest.approx(0.2, abs=0.01)
        await trio.sleep(10)
        assert third.bytes(1, 10) > 0.99 * 9 * RATE


async def test_who_never_answers_costs_bounded_time(autojump_clock: Clock) -> None:
    async with paced_line(400) as line:
        silent = [line.add(number, answer=None) for number in range(6)]
        one = line.add(9, has=range(200))  # it comes after all the others
        await trio.sleep(60)
        lost = 3 * OFFERS.answer_seconds  # two of them at a time are enough work for the line
        assert one.bytes() > 0.98 * (60 - lost) * RATE
        assert all(5 < len(member.offers) < 20 for member in silent)


async def test_who_wants_nothing_is_asked_ever_less(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one = line.add(1, answer=nothing)
        await trio.sleep(60)
        gaps = [b - a for (a, _), (b, _) in itertools.pairwise(one.offers)]
        assert all(a < b + 0.01 for a, b in itertools.pairwise(gaps))
        assert len(one.offers) < 30
        one.answer = as_advised
        await trio.sleep(10)
        assert one.bytes() > 0.7 * 10 * RATE


def advice_alone(member: Member, offer: Offer) -> Sequence[int]:
    return [number for number in offer.numbers if member.lacks(number)][: offer.chunks]


async def test_an_origin_advises_no_two_partners_the_same(autojump_clock: Clock) -> None:
    async with paced_line(40, origin=True) as line:
        members = [line.add(number, answer=advice_alone) for number in range(1, 4)]
        await trio.sleep(40 * CHUNK / RATE + 1)
        received = [number for member in members for number in member.received]
        assert sorted(received) == list(range(40))
        assert all(member.received for member in members)


async def sent_home(line: PacedLine, *, complete: bool = True) -> None:
    """A study of 40 chunks that is sent from here."""
    swarm = await line.study(0)
    assert swarm.chunks is not None
    for number in range(40):
        await swarm.chunks.put(number, ChunkId(bytes(32)), bytes(CHUNK))
    swarm.listed, swarm.sender, swarm.complete = 40, SENDER, complete


async def test_the_end_of_what_is_sent_home_goes_to_the_broker(autojump_clock: Clock) -> None:
    async with paced_line(0, origin=True, broker=1) as line:
        await sent_home(line)
        broker, other = (line.add(number, answer=advice_alone) for number in (1, 2))
        await trio.sleep(40 * CHUNK / RATE + 1)
        assert sorted([*broker.received, *other.received]) == list(range(40))
        end = set(range(40 - RATE // CHUNK, 40))
        assert other.received
        assert not end & set(other.received)


async def test_what_there_is_at_the_beginning_is_no_end(autojump_clock: Clock) -> None:
    """Else the other one saw its first image after 5 seconds, by way of the broker."""
    async with paced_line(0, origin=True, broker=1) as line:
        await sent_home(line, complete=False)
        broker, other = (line.add(number, answer=advice_alone) for number in (1, 2))
        await trio.sleep(40 * CHUNK / RATE + 1)
        assert sorted([*broker.received, *other.received]) == list(range(40))
        assert set(range(40 - RATE // CHUNK, 40)) & set(other.received)


async def test_a_broker_that_does_not_answer_holds_up_nobody(autojump_clock: Clock) -> None:
    async with paced_line(0, origin=True, broker=1) as line:
        await sent_home(line)
        line.add(1, answer=None)
        other = line.add(2, answer=advice_alone)
        await trio.sleep(40 * CHUNK / RATE + 2 * OFFERS.answer_seconds)
        assert {*range(30, 40)} <= {*other.received}


async def test_an_origin_gives_index_parts_first_and_offers_what_fits_in_its_time(
    autojump_clock: Clock,
) -> None:
    """After small chunks, as many large ones would be promised for seconds."""
    async with paced_line(0, origin=True) as line:
        swarm = await line.study(0)
        small, large = bytes(KIB), bytes(CHUNK)
        for number in range(40):
            await line.swarms.of(CT).chunks.put(  # type: ignore[union-attr]
                number, ChunkId(bytes(32)), small if number < 20 else large
            )
        swarm.listed, swarm.index = 40, frozenset([39])
        member = line.add(1, answer=advice_alone)
        await trio.sleep(15)
        first = member.offers[0][1]
        assert first.numbers[:3] == [39, 0, 1]
        assert max(offer.chunks for _, offer in member.offers) <= 8
        large_ones = [one for _, one in member.offers if one.numbers and one.numbers[0] >= 20]
        assert all(offer.chunks * CHUNK <= RATE for offer in large_ones[1:])
        assert sorted(member.received) == list(range(40))
