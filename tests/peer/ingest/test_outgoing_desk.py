"""What people do about studies that are sent, on a real spool and with a broker in memory."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from p2pacs.dataset.json_model import text
from p2pacs.errors import ForbiddenError, NotFoundError, StateError
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import AddressQuery, CancelQuery
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import OutgoingState, StudyAddress
from peer.spool.records import SpoolOutcome, StudyCommitment
from tests.conformance.instances import make
from tests.peer.ingest.bench import FakeBroker, Outgoing, outgoing, running
from tests.peer.ingest.test_outgoing import files

UID = "1.2.1"


@define
class Notes:
    kept: list[tuple[str, str, str]] = field(factory=list)

    async def __call__(self, *said: str) -> None:
        await trio.lowlevel.checkpoint()
        actor, what, detail = said
        self.kept.append((actor, what, detail))


async def nobody_asked(_uids: Sequence[str]) -> dict[str, list[StudyCommitment]]:
    await trio.lowlevel.checkpoint()
    return {}


def desk_of(made: Outgoing, notes: Notes | None = None) -> OutgoingDesk:
    linked = lambda: made.broker.error is None  # noqa: E731
    keep = notes or Notes()
    return OutgoingDesk(made.spool, made.studies, made.addressing, linked, keep, nobody_asked)


async def test_what_is_cancelled_is_neither_published_nor_taken_until_it_is_sent_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.broker.stores = False
        notes = Notes()
        desk = desk_of(made, notes)
        made.take(make(UID, 1, 1))
        await trio.sleep(1)
        (one,) = await desk.list_studies()
        assert one.can_cancel
        cancelled = await desk.cancel(one.number, "rita")
        assert cancelled.state is OutgoingState.CANCELLED
        with pytest.raises(ForbiddenError, match="cancelled"):
            made.take(make(UID, 1, 2))
        assert made.take(make(UID, 1, 1)) is SpoolOutcome.KNOWN, "it is here"
        await trio.sleep(1)
        asked = len(made.broker.asked)
        await trio.sleep(600)
        assert len(made.broker.asked) == asked
        made.broker.stores = True
        await desk.retry(one.number, "otto")
        made.take(make(UID, 1, 2))
        await made.until_done(UID)
        assert len((await made.newest(UID)).index.instances) == 2
        assert (await desk.get(one.number)).state is OutgoingState.STORED
        number = str(one.number)
        assert notes.kept == [
            ("rita", "sending cancelled", number),
            ("otto", "sending retried", number),
        ]


async def test_a_restart_does_not_send_what_was_cancelled(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker()
    async with outgoing(tmp_path, broker) as made:
        made.take(make(UID))
        desk = desk_of(made)
        await desk.cancel((await desk.list_studies())[0].number, "rita")
    async with outgoing(tmp_path, broker) as made, running(made):
        await trio.sleep(600)
        assert [type(one) for one in broker.asked] == [CancelQuery]
        assert (await desk_of(made).list_studies())[0].state is OutgoingState.CANCELLED


async def test_what_was_refused_is_sent_once_the_cause_is_put_right(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    broker = FakeBroker(error=ForbiddenError("ask the administrator"))
    async with outgoing(tmp_path, broker) as made, running(made):
        made.take(make(UID))
        await trio.sleep(60)
        desk = desk_of(made)
        (one,) = await desk.list_studies()
        assert (one.state, one.why) == (OutgoingState.REFUSED, "ask the administrator")
        with pytest.raises(StateError):
            await desk.cancel(one.number, "rita")
        broker.error = None
        await desk.retry(one.number, "rita")
        await made.until_done(UID)
        with pytest.raises(StateError, match="nothing to retry"):
            await desk.retry(one.number, "rita")


async def test_what_failed_is_tried_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.broker.error = StateError("its disk is full")
        made.take(make(UID))
        await trio.sleep(5)
        linked = lambda: True  # noqa: E731
        desk = OutgoingDesk(
            made.spool, made.studies, made.addressing, linked, Notes(), nobody_asked
        )
        (one,) = await desk.list_studies()
        assert (one.state, one.why) == (OutgoingState.FAILING, "its disk is full")
        assert one.again is not None
        made.broker.error = None
        await desk.retry(one.number, "rita")
        await trio.sleep(20)
        assert (await desk.get(one.number)).state is OutgoingState.STORED


async def test_only_what_goes_nowhere_is_removed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with outgoing(tmp_path) as made:
        desk, notes = desk_of(made), Notes()
        made.take(make(UID, 1, 1))
        made.take(make(UID, 1, 2))
        (one,) = await desk.list_studies()
        with pytest.raises(StateError, match="refused or cancelled"):
            await desk.remove(one.number, "rita")
        assert len(files(tmp_path)) == 2
        await desk.cancel(one.number, "rita")
        await desk_of(made, notes).remove(one.number, "rita")
        assert not files(tmp_path)
        assert not await desk.list_studies()
        with pytest.raises(NotFoundError):
            await desk.get(one.number)
        assert notes.kept == [("rita", "spool emptied", str(one.number))]
        assert made.take(make(UID, 1, 1)) is SpoolOutcome.KEPT, "it may be sent anew"
        assert (await desk.list_studies())[0].number != one.number


async def test_what_is_kept_beside_a_study_in_the_pacs_can_be_removed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        made.take(make(UID))
        assert made.take(make(UID, name="Other^Name")) is SpoolOutcome.BESIDE
        await made.until_done(UID)
        desk = desk_of(made)
        (one,) = await desk.list_studies()
        assert (one.state, one.beside, one.can_remove) == (OutgoingState.STORED, 1, True)
        await desk.remove(one.number, "rita")
        assert not files(tmp_path)
        (one,) = await desk.list_studies()
        assert (one.state, one.instances, one.beside) == (OutgoingState.STORED, 1, 0)
        assert made.take(make(UID)) is SpoolOutcome.KEPT, "its sender wants it there"
        assert (await desk.get(one.number)).instances == 1


async def test_what_needs_somebody_comes_first_and_what_is_home_last_and_not_all_of_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        for number in range(1, 5):
            made.take(make(f"1.2.{number}"))
        for number in range(1, 5):
            await made.until_done(f"1.2.{number}")
        made.broker.error = ForbiddenError("no")
        made.take(make("1.2.5"))
        await trio.sleep(60)
        made.broker.stores, made.broker.error = False, None
        made.take(make("1.2.6"))
        await trio.sleep(60)
        desk = desk_of(made)
        shown = [one.number for one in await desk.list_studies(2)]
        assert shown == [5, 6, 4, 3]
        assert len(await desk.list_studies()) == 6
        told_of = await desk.attributes(await desk.get(5))
        assert text(told_of, "PatientID") == "P1.2.5"


async def test_to_whom_it_goes_is_changed_and_seen(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with outgoing(tmp_path) as made, running(made):
        notes = Notes()
        desk = desk_of(made, notes)
        made.broker.stores = False
        made.take(make(UID))
        (one,) = await desk.list_studies()
        assert one.address == StudyAddress()
        told = await desk.address(one.number, ["South", "East"], Priority.STAT, "rita")
        assert [to.name for to in told.address.recipients] == ["East", "South"]
        assert told.address.is_stat
        await trio.sleep(60)
        (query,) = [one for one in made.broker.asked if isinstance(one, AddressQuery)]
        assert len(query.recipients) == 2
        with pytest.raises(NotFoundError):
            await desk.address(one.number, ["Nobody"], Priority.STAT, "rita")
        await desk.address(one.number, [], Priority.INTERACTIVE, "otto")
        assert (await desk.get(one.number)).address == StudyAddress()
        assert notes.kept == [
            ("rita", "study addressed", f"{one.number}: South, East"),
            ("otto", "study addressed", f"{one.number}: "),
        ]
