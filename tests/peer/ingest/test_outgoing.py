from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pacs.errors import ForbiddenError, LinkClosedError
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import SendQuery
from peer.ingest.outgoing_parts import OutgoingTuning
from tests.conformance.instances import make
from tests.peer.ingest.bench import FakeBroker, outgoing, running

UID = "1.2.1"
STUDY = [make(UID, series, number) for series in (1, 2) for number in (1, 2)]
UIDS = {one.sop_instance_uid for one in STUDY}


def files(folder: Path) -> list[Path]:
    return list((folder / "spool" / "instances").iterdir())


async def test_a_study_is_published_and_its_files_go_once_it_is_home(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.broker.stores = False
        for one in STUDY:
            made.take(one)
        await trio.sleep(600)
        assert (await made.newest(UID)).index.instances.keys() == UIDS
        assert made.study(UID).published == made.study(UID).newest
        assert len(files(tmp_path)) == len(STUDY)
        made.broker.stores = True
        await made.until_done(UID)
        assert not files(tmp_path)


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
