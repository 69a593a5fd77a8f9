from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pacs.errors import ForbiddenError, LinkClosedError, NotFoundError, UsageError
from p2pacs.limits import RECIPIENTS
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import SentReport
from peer.ingest.addressing import AddressingTuning
from peer.spool.recipient_rules import RecipientRule, Recipients
from tests.conformance.instances import make
from tests.peer.ingest.bench import EAST, NORTH, SOUTH, FakeBroker, Outgoing, outgoing, running

UID = "1.2.1"


def told(made: Outgoing) -> list[tuple[set[bytes], int]]:
    return [(set(one.recipients), one.priority) for one in made.broker.addressed]


async def test_who_is_named_before_anything_came_is_told_when_it_may_be_published(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        await made.addressing.address(UID, ["South"], Priority.STAT)
        await trio.sleep(5)
        assert not made.broker.asked
        made.take(make(UID))
        await trio.sleep(1)
        assert told(made) == [({SOUTH.address.raw}, 3)]
        await trio.sleep(600)
        assert len(told(made)) == 1
        state = await made.addressing.of(UID)
        assert state.recipients == Recipients(("South",), Priority.STAT)
        assert (state.by_rule, state.members, state.unknown) == (False, (SOUTH.address,), ())


async def test_rules_say_to_whom_a_study_goes_and_somebody_may_say_otherwise(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rules = [RecipientRule("East", callers=("CT1",)), RecipientRule("South", callers=("CT2",))]
    async with outgoing(tmp_path, rules=rules) as made, running(made):
        made.take(make(UID))
        await trio.sleep(1)
        assert told(made) == [({EAST.address.raw}, 2)]
        await trio.sleep(600)  # the PACS has it
        await made.addressing.address(UID, ["South"])
        await trio.sleep(1)
        assert told(made)[1:] == [({SOUTH.address.raw}, 2)]
        await made.addressing.address(UID, [])
        await trio.sleep(1)
        assert told(made)[2:] == [(set(), 2)]
        made.take(make(UID, 1, 2))
        await trio.sleep(600)
        assert len(told(made)) == 3


async def test_a_name_that_nobody_has_keeps_nothing_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rules = [RecipientRule("Nobody"), RecipientRule("South")]
    async with outgoing(tmp_path, rules=rules) as made, running(made):
        made.take(make(UID))
        await made.until_done(UID)
        assert told(made) == [({SOUTH.address.raw}, 2)]
        assert (await made.addressing.of(UID)).unknown == ("Nobody",)


async def test_who_says_a_wrong_name_is_told(tmp_path: Path) -> None:
    async with outgoing(tmp_path) as made:
        for name in ("Nobody", "R1", "Gone"):
            with pytest.raises(NotFoundError, match=f"is called {name}; there are: East, South$"):
                await made.addressing.address(UID, ["South", name])
        with pytest.raises(NotFoundError, match="north is this hospital"):
            made.addressing.check(["north"])
        made.addressing.check(["SOUTH"])
        with pytest.raises(UsageError, match="at most 64"):
            await made.addressing.address(UID, ["South"] * (RECIPIENTS + 1))
        assert (await made.addressing.of(UID)).recipients == Recipients()


async def test_without_a_broker_it_is_told_later_also_after_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker()
    async with outgoing(tmp_path, broker) as made, running(made):
        made.take(make(UID))
        await made.until_done(UID)
        broker.error = LinkClosedError("its line is cut")
        await made.addressing.address(UID, ["South"])
        await trio.sleep(100)
    broker.error = None
    async with outgoing(tmp_path, broker) as made, running(made):
        await trio.sleep(1)
        assert told(made) == [({SOUTH.address.raw}, 2)]


async def test_how_far_they_are_is_followed_until_all_have_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker(copies={SOUTH.address: (0, 250)})
    rules = [RecipientRule("South")]
    async with outgoing(tmp_path, broker, rules=rules) as made, running(made):
        made.take(make(UID))
        await made.until_done(UID)
        (copy,) = (await made.addressing.of(UID)).copies
        assert (copy.member, copy.version, copy.share) == (SOUTH.address, 0, 250)
        await trio.sleep(3600)
        broker.copies[SOUTH.address] = (made.study(UID).version, 1000)
        await trio.sleep(300)
        (copy,) = (await made.addressing.of(UID)).copies
        assert (copy.version, copy.share) == (made.study(UID).version, 1000)
        asked = len(broker.asked)
        await trio.sleep(3600)
        assert len(broker.asked) == asked
        assert isinstance(broker.asked[-1], SentReport)
    async with outgoing(tmp_path, broker, rules=rules) as made, running(made):
        await trio.sleep(3600)
        assert len(broker.asked) == asked


async def test_who_does_not_have_it_in_weeks_is_not_waited_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path, rules=[RecipientRule("South")]) as made, running(made):
        made.broker.copies[SOUTH.address] = (0, 250)
        made.take(make(UID))
        await made.until_done(UID)
        made.addressing.tuning = AddressingTuning(followed_seconds=0)
        await trio.sleep(600)
        asked = len(made.broker.asked)
        await trio.sleep(36000)
        assert len(made.broker.asked) == asked


async def test_what_the_broker_does_not_let_be_addressed_is_not_asked_for_ever(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.take(make(UID))
        await made.until_done(UID)
        asked = len(made.broker.asked)
        made.broker.error = ForbiddenError("it is not sent by this member")
        await made.addressing.address(UID, ["South"])
        await trio.sleep(36000)
        assert len(made.broker.asked) == asked + 1


async def test_a_member_of_that_name_that_comes_later_is_addressed_then(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    members = [NORTH]
    rules = [RecipientRule("South")]
    async with outgoing(tmp_path, rules=rules, members=members) as made, running(made):
        made.take(make(UID))
        await made.until_done(UID)
        assert told(made) == [(set(), 2)]
        members.append(SOUTH)
        await trio.sleep(600)
        assert told(made)[1:] == [({SOUTH.address.raw}, 2)]


async def test_a_study_is_urgent_whoever_it_goes_to(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """And its recipients stay those of the rules, or those that somebody named."""
    async with outgoing(tmp_path, rules=[RecipientRule("South")]) as made, running(made):
        await made.addressing.urge(UID, Priority.STAT)
        made.take(make(UID))
        await trio.sleep(60)
        told = made.broker.addressed[-1]
        assert (told.recipients, told.priority) == ([SOUTH.address.raw], Priority.STAT)
        await made.addressing.address(UID, ["East"])
        await made.addressing.urge(UID, Priority.BACKGROUND)
        await trio.sleep(60)
        told = made.broker.addressed[-1]
        assert (told.recipients, told.priority) == ([EAST.address.raw], Priority.BACKGROUND)
