"""Members that misbehave are bounded, named in the log, and hardly delay the others."""

from collections.abc import Awaitable, Callable
from functools import cache
from itertools import count

import pytest
import trio

from p2pacs.errors import NoSourceError
from p2pacs.limits import BLOCK_LEAST, KIB, LINKS_A_MINUTE, REQUEST_NUMBERS
from p2pacs.mesh.bans import TUNING as BANS
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Message, Offer, Request
from tests.simulation.rogue import Behaviour, Rogue, Talk
from tests.simulation.scenario import Outcome, Plan, Swarm, simulate

PLAN = Plan(members=4, replicas=2, megabytes=3)

WITHIN = 1.3
"""Of the time without the rogue."""


@cache
def honest() -> Swarm:
    """The same without a rogue."""
    return simulate(PLAN, Swarm.fetch_all).swarm


def attacked(behave: Behaviour, up: float = PLAN.up) -> tuple[Outcome, Rogue]:
    """All fetch while a member does this on all of its links."""
    rogues: list[Rogue] = []

    async def story(swarm: Swarm) -> None:
        rogue = await swarm.add("rogue", kind=Rogue, up=up)
        assert isinstance(rogue, Rogue)
        rogues.append(rogue)
        rogue.study, rogue.behave = swarm.study, behave
        for member in swarm.members:
            swarm.fetch(member, [*swarm.holders(member), rogue])
        swarm.nursery.start_soon(rogue.bother, *swarm.holders(rogue))
        await swarm.finished(*swarm.members)

    return simulate(PLAN, story), rogues[0]


def delay(outcome: Outcome) -> float:
    """The last of the others, over its time without the rogue."""
    return outcome.swarm.last / honest().last


def quarantined(outcome: Outcome, rogue: Rogue) -> bool:
    """Whether somebody put it in quarantine, and said so."""
    return outcome.told("member struck", rogue, quarantined=True) > 0


# ---------------------------------------------------------------- what it claims to have


async def offer_and_send_nothing(talk: Talk) -> None:
    """Claims all, offers it again and again, and stays silent."""
    await talk.join()

    async def offer() -> None:
        while True:
            await talk.say(Offer(talk.id, 4, []))
            await trio.sleep(0.2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(offer)
        await talk.listen(_nothing)


async def _nothing(_: Message) -> None:
    await trio.lowlevel.checkpoint()


def test_who_offers_what_it_never_sends_is_left_alone() -> None:
    outcome, rogue = attacked(offer_and_send_nothing)
    assert delay(outcome) < WITHIN
    assert outcome.told("source stalled", rogue) > 0


async def offer_and_refuse(talk: Talk) -> None:
    """Claims all, offers it, and refuses what is chosen; then claims it anew."""
    await talk.join()
    await talk.say(Offer(talk.id, 4, []))

    async def refuse(message: Message) -> None:
        if isinstance(message, Request) and message.numbers:
            await talk.say(messages.Refuse(talk.id, message.numbers, NoSourceError.wire_code))
            await talk.join()
        if isinstance(message, Request):
            await trio.sleep(0.05)
            await talk.say(Offer(talk.id, 4, []))

    await talk.listen(refuse)


def test_who_refuses_what_it_announces_is_found_out() -> None:
    outcome, rogue = attacked(offer_and_refuse)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


async def offer_the_whole_study(talk: Talk) -> None:
    """Claims a line that would carry all at once."""
    await talk.join()

    async def offer() -> None:
        while True:
            await talk.say(Offer(talk.id, REQUEST_NUMBERS, list(range(REQUEST_NUMBERS // 4))))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(offer)
        await talk.listen(_nothing)


def test_who_claims_an_absurd_rate_holds_little_back() -> None:
    outcome, rogue = attacked(offer_the_whole_study)
    assert delay(outcome) < WITHIN
    assert outcome.told("source stalled", rogue) > 0


async def announce_for_ever(talk: Talk) -> None:
    """Announces the same chunks over and over."""
    await talk.join(have=False)
    size = len(talk.study.data)
    while True:
        await talk.say(*[messages.Have(talk.id, [(0, size)] * 64) for _ in range(2)])
        await trio.sleep(0.1)


def test_who_announces_the_same_for_ever_is_struck() -> None:
    outcome, rogue = attacked(announce_for_ever)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


# ---------------------------------------------------------------- what it sends


async def poison(talk: Talk) -> None:
    """Sends wrong data at the right places."""
    await talk.join()
    await talk.say(Offer(talk.id, 4, []))

    async def send(message: Message) -> None:
        if not isinstance(message, Request):
            return
        for number in message.numbers:
            size = talk.study.list.size(number)
            for offset in range(0, size, 16 * KIB):
                data = bytes(min(16 * KIB, size - offset))
                await talk.say(messages.Block(talk.id, number, offset, size, data))
        await trio.sleep(0.05)
        await talk.say(Offer(talk.id, 4, []))

    await talk.listen(send)


def test_a_poisoner_is_struck_and_quarantined() -> None:
    outcome, rogue = attacked(poison)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


async def flood(talk: Talk) -> None:
    """Sends chunks that nobody asked for."""
    await talk.join()
    for number in count():
        at = number % len(talk.study.data)
        size = talk.study.list.size(at)
        await talk.say(messages.Block(talk.id, at, 0, size, bytes(16 * KIB)))


def test_who_sends_what_nobody_asked_for_is_struck() -> None:
    outcome, rogue = attacked(flood, up=10 * PLAN.up)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


def dribbles(size: int) -> Behaviour:
    """Sends what is chosen, so many bytes a second."""

    async def behave(talk: Talk) -> None:
        await talk.join()
        await talk.say(Offer(talk.id, 4, []))

        async def send(message: Message) -> None:
            if not isinstance(message, Request):
                return
            for number in message.numbers[:1]:
                data = talk.study.data[number]
                for at in range(0, len(data), size):
                    part = data[at : at + size]
                    await talk.say(messages.Block(talk.id, number, at, len(data), part))
                    await trio.sleep(1)
            await trio.sleep(0.2)
            await talk.say(Offer(talk.id, 4, []))

        await talk.listen(send)

    return behave


@pytest.mark.parametrize("size", [1, BLOCK_LEAST - 1])
def test_who_sends_crumbs_is_struck(size: int) -> None:
    outcome, rogue = attacked(dribbles(size))
    assert delay(outcome) < WITHIN
    assert rogue.refused
    assert quarantined(outcome, rogue)


def test_who_is_as_slow_as_can_be_holds_nothing_back_and_is_not_struck() -> None:
    outcome, rogue = attacked(dribbles(BLOCK_LEAST))
    assert delay(outcome) < WITHIN
    assert not outcome.told("member struck", rogue)


async def greet_slowly(talk: Talk) -> None:
    """Says a long message, a byte a second."""
    frame = (200).to_bytes(4, "big") + bytes(200)
    for at in range(len(frame)):
        await talk.stream.send_all(frame[at : at + 1])
        await trio.sleep(1)


def test_who_speaks_a_byte_a_second_disturbs_nobody() -> None:
    outcome, _ = attacked(greet_slowly)
    assert delay(outcome) < WITHIN


# ---------------------------------------------------------------- what it asks for


def _last(block: messages.Block) -> bool:
    return block.offset + len(block.data) == block.size


def asks(
    choose: Callable[[Talk], list[int]], *, rejoin: bool = False, priority: int = 2
) -> Behaviour:
    """Claims to lack all, for ever, and takes every offer with this."""

    async def behave(talk: Talk) -> None:
        await talk.join(fetching=True, have=False, priority=priority)

        async def answer(message: Message) -> None:
            if isinstance(message, Offer):
                await talk.say(Request(talk.id, choose(talk)[: message.chunks]))
            elif isinstance(message, messages.Block) and rejoin and _last(message):
                await talk.join(fetching=True, have=False, priority=priority)

        await talk.listen(answer)

    return behave


@pytest.mark.parametrize("priority", [Priority.INTERACTIVE, Priority.STAT])
def test_who_asks_for_the_same_for_ever_gets_no_more_than_its_part(priority: int) -> None:
    outcome, rogue = attacked(asks(lambda _: [0], rejoin=True, priority=priority))
    assert delay(outcome) < WITHIN
    assert rogue.nic.received < outcome.swarm.total


async def ask_without_end(talk: Talk) -> None:
    """Asks for everything, all the time, whatever it was offered."""
    await talk.join(fetching=True, have=False)

    async def ask() -> None:
        while True:
            numbers = list(range(min(REQUEST_NUMBERS, len(talk.study.data))))
            await talk.say(*[Request(talk.id, numbers) for _ in range(20)])
            await trio.sleep(0.25)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await talk.listen(_nothing)


def test_hundreds_of_requests_are_refused() -> None:
    outcome, rogue = attacked(ask_without_end)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


async def query_without_end(talk: Talk) -> None:
    """Asks hundreds of questions at once."""
    await talk.join(fetching=True, have=False)

    async def ask() -> None:
        numbers = count(1)
        while True:
            await talk.say(*[messages.ManifestQuery(next(numbers), talk.id, 0) for _ in range(200)])
            await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await talk.listen(_nothing)


def test_hundreds_of_questions_take_no_more_than_their_part() -> None:
    outcome, rogue = attacked(query_without_end)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogue)


# ---------------------------------------------------------------- how it connects


def connects(times: int) -> Callable[[Swarm, Rogue], Awaitable[None]]:
    """Opens so many links to everybody, all at once, again and again."""

    async def behave(swarm: Swarm, rogue: Rogue) -> None:
        while True:
            async with trio.open_nursery() as nursery:
                for member in [*swarm.replicas, *swarm.members]:
                    for _ in range(times):
                        nursery.start_soon(rogue.dial, member)
            await trio.sleep(10)

    return behave


def test_hundreds_of_connections_are_bounded() -> None:
    async def stay(talk: Talk) -> None:
        await talk.join(fetching=True, have=False)
        await talk.listen(_nothing)

    rogues: list[Rogue] = []

    async def story(swarm: Swarm) -> None:
        rogue = await swarm.add("rogue", kind=Rogue)
        assert isinstance(rogue, Rogue)
        rogues.append(rogue)
        rogue.study, rogue.behave = swarm.study, stay
        swarm.nursery.start_soon(connects(3 * LINKS_A_MINUTE + 10), swarm, rogue)
        await swarm.fetch_all()
        for member in [*swarm.replicas, *swarm.members]:
            assert len(member.host.mesh.connections) < LINKS_A_MINUTE

    outcome = simulate(PLAN, story)
    assert delay(outcome) < WITHIN
    assert quarantined(outcome, rogues[0])


def test_a_quarantine_ends() -> None:
    assert 10 * honest().last < BANS.quarantine_seconds
