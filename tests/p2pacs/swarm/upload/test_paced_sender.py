"""The paced line on simulated lines: who is offered what, and what goes next."""

import itertools

import pytest
import trio
import trio.testing

from p2pacs.ids import StudyId
from p2pacs.swarm.scheduling.offers import TUNING as OFFERS
from p2pacs.swarm.upload.block_size import block_bytes, cut
from p2pacs.swarm.upload.line_offers import TUNING as SENDER
from tests.p2pacs.swarm.partners import CHUNK, CT, RATE, nothing, paced_line

Clock = trio.testing.MockClock

BLOCK = cut(CHUNK, block_bytes(RATE))
MR = StudyId(bytes(15) + b"\1")

# ---------------------------------------------------------------- the line is never idle


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("seconds", [0.0, 0.1])
async def test_the_line_is_busy_while_somebody_wants_something(
    autojump_clock: Clock, members: int, seconds: float
) -> None:
    async with paced_line(100) as line:
        them = [line.add(number, seconds=seconds) for number in range(members)]
        await trio.sleep(21)
        assert sum(member.bytes(1, 21) for member in them) > 0.99 * 20 * RATE


@pytest.mark.parametrize("members", [1, 3])
async def test_a_fast_line_is_busy_from_the_first_chunk_to_the_last(
    autojump_clock: Clock, members: int
) -> None:
    async with paced_line(600, rate=10_000_000) as line:
        them = [line.add(number, round_trip=0.02) for number in range(members)]
        seconds = members * 600 * CHUNK / 10_000_000
        await trio.sleep(1.1 * seconds + 0.3)
        assert all(len(member.received) == 600 for member in them)


async def test_what_is_cancelled_makes_room_for_others(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one = line.add(1)
        await trio.sleep(3)
        other = line.add(2, has=range(60))  # more complete: it comes after the first
        one.answer = nothing
        line.sender.cancel(one.address, CT, list(one.asked))
        assert line.sender.promised(one.address) == 0
        await trio.sleep(1)
        assert one.bytes(3.01) == 0
        assert other.bytes(3.2, 4) > 0.75 * RATE


async def test_who_is_gone_makes_room_for_others(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one, other = line.add(1), line.add(2, answer=None)
        await trio.sleep(3)
        line.remove(one)
        line.remove(other)
        third = line.add(3)
        await trio.sleep(5)
        assert third.bytes(3.2) > 0.95 * 4.8 * RATE


async def test_chunks_go_whole_one_after_the_other(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        members = [line.add(number) for number in range(3)]
        await trio.sleep(10)
        sent = sorted((at, m.address, block.number) for m in members for at, block in m.blocks)
        chunks = [chunk for chunk, _ in itertools.groupby(sent, key=lambda block: block[1:])]
        assert len(chunks) == len(set(chunks)) > 25


async def test_no_more_is_promised_than_the_line_soon_sends(autojump_clock: Clock) -> None:
    async with paced_line(200) as line:
        members = [line.add(number, seconds=0.1) for number in range(3)]
        most = (SENDER.ahead_seconds + SENDER.offer_seconds) * RATE + CHUNK
        for _ in range(100):
            await trio.sleep(0.1)
            assert sum(line.sender.promised(member.address) for member in members) <= most


async def test_who_does_not_read_holds_up_itself_alone(autojump_clock: Clock) -> None:
    async with paced_line(200) as line:
        dead, slow, quick = line.add(1, seconds=1e9), line.add(2, seconds=0.4), line.add(3)
        await trio.sleep(31)
        assert len(dead.blocks) == 1
        assert (
            len(dead.asked) * CHUNK < (SENDER.ahead_seconds + SENDER.offer_seconds) * RATE + CHUNK
        )
        assert slow.bytes(11, 31) > 0.7 * 20 * BLOCK / 0.4
        assert sum(m.bytes(11, 31) for m in (slow, quick)) > 0.97 * 20 * RATE


async def test_late_answers_are_served(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one = line.add(1, round_trip=2 * OFFERS.answer_seconds)
        await trio.sleep(60)
        assert one.refused == []
        on_its_way = line.sender.promised(one.address) / CHUNK
        assert len(one.received) > 5
        assert len(one.asked) - len(one.received) <= on_its_way + 1


async def test_beyond_what_was_offered_nothing_is_promised(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        one = line.add(1, answer=lambda _member, _offer: range(10))
        other = line.add(2, answer=None)
        await trio.sleep(0.1)
        offered = sum(offer.chunks for _, offer in one.offers)
        assert len(one.refused) >= 10 - offered
        other.choose([1, 2, 3, 4])
        assert other.refused == [1, 2, 3, 4][other.offers[0][1].chunks :]
        unasked = line.add(3, answer=None)
        line.swarms.of(CT).partners[unasked.address].fetching = False
        unasked.choose([1])
        assert unasked.refused == [1]


# ---------------------------------------------------------------- who comes first


async def test_an_emergency_has_the_line_within_two_seconds(autojump_clock: Clock) -> None:
    async with paced_line(200) as line:
        low = [line.add(number, priority=0, seconds=0.1) for number in range(4)]
        await trio.sleep(10)
        stat = line.add(9, priority=3, has=range(100), seconds=0.1)
        await trio.sleep(12)
        assert stat.bytes(12, 22) > 0.9 * 10 * RATE
        stat.answer = nothing
        await trio.sleep(8)
        assert sum(member.bytes(24, 30) for member in low) > 0.95 * 6 * RATE


async def test_an_emergency_in_another_study_too(autojump_clock: Clock) -> None:
    async with paced_line(100) as line:
        await line.study(100, MR)
        low = line.add(1, priority=2)
        await trio.sleep(5)
        stat = line.add(1, priority=3, study=MR)  # the same member
        await trio.sleep(6)
        assert stat.bytes(7, 11) > 0.9 * 4 * RATE
        assert low.bytes(7, 11) == 0


async def test_lower_classes_have_what_the_higher_leave(autojump_clock: Clock) -> None:
    async with paced_line(200) as line:
        stat = line.add(1, priority=3, seconds=0.2)  # takes half of the line
        low = line.add(2, priority=0)
        await trio.sleep(21)
        assert stat.bytes(1, 21) > 0.9 * 20 * RATE / 2
        assert stat.bytes(1, 21) + low.bytes(1, 21) > 0.97 * 20 * RATE


async def test_the_least_complete_comes_first_then_all_alike(autojump_clock: Clock) -> None:
    async with paced_line(64) as line:
        ahead, behind = line.add(1, has=range(16)), line.add(2)
        await trio.sleep(4)
        assert behind.bytes(1, 4) > 0.9 * 3 * RATE
        await trio.sleep(10)
        assert abs(len(ahead.received) + 16 - len(behind.received)) <= 3


# ---------------------------------------------------------------- what cannot be sent


async def test_what_cannot_be_read_is_left_out(autojump_clock: Clock) -> None:
    async with paced_line(32) as line:
        line.unreadable = {3, 4, 5}
        one = line.add(1)
        await trio.sleep(15)
        assert set(one.received) == set(range(32)) - {3, 4, 5}
        assert line.sender.promised(one.address) == 0


async def test_every_chunk_goes_once_to_each(autojump_clock: Clock) -> None:
    async with paced_line(16) as line:
        members = [line.add(number) for number in range(3)]
        await trio.sleep(20)
        for member in members:
            assert sorted(member.received) == list(range(16))
            assert set(member.partner.has) == set(range(16))
        sent = sorted((at, block.number) for member in members for at, block in member.blocks)
        order = [number for number, _ in itertools.groupby(number for _, number in sent)]
        assert set(order[:16]) == set(range(16))  # each once, before any comes twice


async def test_a_line_that_is_closed_offers_nothing_until_it_opens(autojump_clock: Clock) -> None:
    async with paced_line() as line:
        line.pacer.change(0)
        one = line.add(1)
        await trio.sleep(10)
        assert one.bytes() == 0
        line.pacer.change(8 * RATE)
        await trio.sleep(10)
        assert one.bytes() > 0.9 * 10 * RATE
