from hashlib import sha256
from pathlib import Path

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from p2pacs.errors import ForbiddenError, LinkClosedError
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import Query, Reply, SendQuery, SentReport
from peer.ingest.outgoing_parts import OutgoingTuning
from peer.spool.records import SpoolOutcome
from tests.conformance.instances import make
from tests.peer.ingest.bench import FakeBroker, outgoing, running

UID = "1.2.1"
STUDY = [make(UID, series, number) for series in (1, 2) for number in (1, 2)]
UIDS = {one.sop_instance_uid for one in STUDY}


@define
class SlowBroker(FakeBroker):
    """Gives leave when it is let."""

    may_answer: trio.Event = field(factory=trio.Event)

    async def ask(self, query: Query, *, timeout: float) -> Reply:  # noqa: ASYNC109
        if isinstance(query, SendQuery):
            await self.may_answer.wait()
        return await FakeBroker.ask(self, query, timeout=timeout)


def files(folder: Path) -> list[Path]:
    return list((folder / "spool" / "instances").iterdir())


async def test_a_study_is_published_and_its_files_go_once_it_is_home(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.broker.stores, made.broker.why = False, "the PACS is away"
        for one in STUDY:
            made.take(one)
        await trio.sleep(600)
        assert made.studies.attempt(UID).delayed == "the PACS is away"
        assert (await made.newest(UID)).index.instances.keys() == UIDS
        assert made.study(UID).published == made.study(UID).newest
        assert len(files(tmp_path)) == len(STUDY)
        made.broker.stores = True
        await made.until_done(UID)
        assert not files(tmp_path)


async def test_the_first_one_is_coded_while_the_broker_is_asked(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = SlowBroker()
    async with outgoing(tmp_path, broker) as made, running(made):
        for one in STUDY:
            made.take(one)
        await trio.sleep(5)
        assert made.coded == [STUDY[0].sop_instance_uid]
        broker.may_answer.set()
        await made.until_done(UID)
        assert sorted(made.coded) == sorted(UIDS)


async def test_a_broker_that_is_away_costs_no_coding_again_and_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker(error=LinkClosedError("its line is cut"))
    async with outgoing(tmp_path, broker) as made, running(made):
        made.take(STUDY[0])
        await trio.sleep(300)
        assert len(broker.asked) > 5
        assert len(made.coded) == 1


async def test_what_comes_while_it_is_followed_is_published_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.broker.stores = False
        made.take(STUDY[0])
        await trio.sleep(600)
        made.take(STUDY[1])
        await trio.sleep(15)
        assert len((await made.newest(UID)).index.instances) == 2


async def test_without_a_broker_it_is_tried_now_and_then_and_when_one_is_linked(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Not at each instance that comes meanwhile."""
    broker = FakeBroker(error=LinkClosedError("its line is cut"))
    async with outgoing(tmp_path, broker) as made, running(made):
        for one in STUDY:
            made.take(one)
            await trio.sleep(1)
        await trio.sleep(95)
        assert len(broker.asked) == 4
        broker.error = None
        made.studies.linked()
        await trio.sleep(15)
        assert not made.study(UID).is_open


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, autojump_clock: MockClock) -> None:
    broker = FakeBroker(stores=False)
    async with outgoing(tmp_path, broker) as made:
        async with running(made):
            made.take(STUDY[0])
            await trio.sleep(60)
        made.take(STUDY[1])
    broker.stores = True
    async with outgoing(tmp_path, broker) as made, running(made):
        await made.until_done(UID)
        assert len((await made.newest(UID)).index.instances) == 2


async def test_a_study_that_is_refused_is_not_asked_for_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker(error=ForbiddenError("it belongs to another hospital"))
    async with outgoing(tmp_path, broker) as made, running(made):
        made.take(STUDY[0])
        await trio.sleep(600)
        assert made.study(UID).refused == "it belongs to another hospital"
        assert [type(one) for one in broker.asked] == [SendQuery]
        with pytest.raises(ForbiddenError):
            made.take(STUDY[1])


async def test_what_comes_when_the_last_version_is_out_is_in_the_next_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A report describes the study again: that is not what the version holds."""
    async with outgoing(tmp_path, tuning=OutgoingTuning(report_seconds=0)) as made:
        late = [make(UID, 3, 1)]

        def published(_study: StudyId, _version: int, complete: bool) -> None:
            if complete and late:
                made.take(late.pop())

        made.published = published
        async with running(made):
            made.take(STUDY[0])
            await trio.sleep(1)
            await made.until_done(UID)
            assert not late
            assert len((await made.newest(UID)).index.instances) == 2
            assert not files(tmp_path)


async def test_what_is_sent_again_is_looked_for_and_moves_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Somebody may have deleted it in the PACS."""
    async with outgoing(tmp_path) as made, running(made):
        for one in STUDY:
            made.take(one)
        await made.until_done(UID)
        before, asked = await made.newest(UID), made.broker.asked[:]
        for one in STUDY:
            assert made.take(one) is SpoolOutcome.KEPT
            await trio.sleep(2)
        assert len(files(tmp_path)) == len(STUDY)
        await made.until_done(UID)
        assert (await made.newest(UID)).root == before.root
        assert not files(tmp_path)
        news = made.broker.asked[len(asked) :]
        assert [type(one) for one in news] == [SendQuery, SendQuery, SentReport]


async def test_what_others_added_or_took_out_stays_so_when_more_comes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.take(STUDY[0])
        made.take(STUDY[1])
        await made.until_done(UID)
        await made.edit(UID, add=make(UID, 9, 9), withdraw=STUDY[0].sop_instance_uid)
        made.take(STUDY[2])
        await trio.sleep(1)
        await made.until_done(UID)
        newest = (await made.newest(UID)).index
        assert newest.instances.keys() == {
            f"{UID}.9.9",
            *(one.sop_instance_uid for one in STUDY[1:3]),
        }
        assert not newest.left_out.count


async def test_one_that_is_broken_keeps_no_other_back_and_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broken = STUDY[1].sop_instance_uid
    async with outgoing(tmp_path) as made, running(made):
        made.breaks.add(broken)
        for one in STUDY:
            made.take(one)
        await made.until_done(UID)
        assert (await made.newest(UID)).index.instances.keys() == UIDS - {broken}
        assert len(files(tmp_path)) == 1
        assert made.study(UID).beside == 1


async def test_a_study_that_is_broken_in_whole_is_kept(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.breaks |= UIDS
        for one in STUDY:
            made.take(one)
        await made.until_done(UID)
        assert len(files(tmp_path)) == made.study(UID).beside == len(STUDY)


async def test_a_leave_that_ends_while_it_is_sent_is_asked_for_anew(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    day = 24 * 3600
    async with outgoing(tmp_path, tuning=OutgoingTuning(quiet=5 * day)) as made, running(made):
        for one in STUDY:
            made.take(one)
            await trio.sleep(4 * day)
        await trio.sleep(6 * day)
        assert (await made.newest(UID)).index.instances.keys() == UIDS
        assert not files(tmp_path)
        leaves = [one for one in made.broker.asked if isinstance(one, SendQuery)]
        assert len(leaves) == 3


async def test_what_is_sent_again_before_it_is_known_to_be_home_is_looked_for_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Between what the broker stores and the next look here somebody may delete it in the PACS."""
    tuning = OutgoingTuning(first_look_seconds=50)
    async with outgoing(tmp_path, tuning=tuning) as made, running(made):
        one, two = make(UID, 1, 1), make(UID, 1, 2)
        made.broker.stores = False
        made.take(one)
        made.take(two)
        await trio.sleep(30)
        before = made.study(UID)
        assert before.published == before.newest
        made.broker.stores = True
        key = (two.sop_instance_uid, two.transfer_syntax_uid, sha256(two.data).digest())
        assert made.spool.index.find_known(*key) == (UID, SpoolOutcome.KNOWN)
        assert made.study(UID).published == 1
        assert made.take(one) is SpoolOutcome.KNOWN
        assert made.study(UID).published == 0
        made.spool.home(UID, before.published)  # what was heard before it was sent again
        assert len(list(made.spool.index.list_files())) == 2
        await made.until_done(UID)
        leaves = [one for one in made.broker.asked if isinstance(one, SendQuery)]
        assert len(leaves) == 2, "the broker sees anew whether the PACS has it"
        assert made.study(UID).version == before.version
        assert not made.spool.index.list_files()
