"""A hospital cancels what it sends: what the PACS has stays, the rest is asked of nobody."""

from pathlib import Path

import pytest
import trio

from broker.database.recipients import list_recipients
from broker.ingest.sent import SentStudy, find_sent
from broker.pages.studies.origin_words import origin_words
from broker.trail import audit
from p2pacs.errors import ForbiddenError, PacsRefusedError
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.wire.messages.messages import CancelQuery
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_parts import OutgoingTuning
from peer.ingest.outgoing_state import OutgoingState
from peer.retrieval.study_fetch import CANCELLED
from tests.conformance.instances import noisy
from tests.conformance.test_addressed import TO_SOUTH
from tests.conformance.test_hospital_sends import (
    UID,
    Hospital,
    World,
    by_uid,
    home,
    until,
    world,
)

pytestmark = pytest.mark.system

SLOW = {"uplink": 400_000}
"""Bits a second: an instance of these takes most of one."""


STUDY = [noisy(number, UID) for number in range(1, 21)]


def desk(hospital: Hospital) -> OutgoingDesk:
    assert hospital.peer.outbound is not None
    return hospital.peer.outbound.desk


async def sent(w: World) -> SentStudy:
    of = w.broker.parts.studies.id_of(UID)
    found = await w.broker.files.database.run(lambda c: find_sent(c, of))
    assert found is not None
    return found


async def is_ended(w: World) -> SentStudy:
    """Until the broker knows how much came."""
    while (one := await sent(w)).came is None:
        await trio.sleep(0.02)
    return one


async def trail(w: World) -> list[tuple[str, str, str, str]]:
    entries = await w.broker.files.database.run(audit.read)
    return [
        (one.actor, one.what, one.detail, one.outcome)
        for one in reversed(entries)
        if one.what == "sending cancelled"
    ]


async def test_what_came_stays_and_the_rest_follows_when_it_is_sent_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        south, east = await w.join("south"), await w.join("east")
        north = await w.join("north", sending=TO_SOUTH, line=SLOW)
        await until(lambda: any(m.name == "north" for m in south.peer.book.directory.members))
        await north.scanner().store(STUDY)
        await until(lambda: w.pacs.instances >= 3)
        study = w.broker.parts.studies.id_of(UID)
        transfers = south.peer.host.engine.downloads.transfers
        await until(lambda: study in transfers)
        told = await desk(north).cancel(1, "anna")
        assert told.state is OutgoingState.CANCELLED
        one = await is_ended(w)
        came = w.pacs.instances
        assert 3 <= came < len(STUDY)
        assert (one.sending, one.instances, one.came) == (False, len(STUDY), came)
        assert origin_words(one) == (
            f"cancelled by the hospital ({came} of {len(STUDY)} instances came)"
        )
        assert await trail(w) == [
            ("north", "sending cancelled", f"{len(STUDY)} instances had come there", "done"),
            ("-", "sending cancelled", f"{came} of 20 instances are in the central PACS", "done"),
        ]
        await until(lambda: transfers[study].state is TransferState.FAILED)
        assert str(transfers[study].error) == CANCELLED
        await until(lambda: not south.peer.pending.ordered)
        assert not await w.broker.files.database.run(lambda c: list_recipients(c, study))
        # What is in the PACS is a study like any other.
        while by_uid(await east.get()) != by_uid(await home(tmp_path)):
            await trio.sleep(0.2)
        left = north.peer.host.engine.uploads.bytes_sent.copy()
        await trio.sleep(3)
        assert north.peer.host.engine.uploads.bytes_sent == left, "nothing leaves any more"
        assert w.pacs.instances == came

        await desk(north).retry(1, "anna")
        await w.is_home(STUDY)
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)
        while by_uid(await south.get()) != by_uid(STUDY):
            await trio.sleep(0.2)
        again = sum(north.peer.host.engine.uploads.bytes_sent.values())
        assert again < 1.06 * sum(len(one.data) for one in STUDY), "nothing leaves twice"


async def test_without_a_broker_it_is_told_when_there_is_one(tmp_path: Path) -> None:
    few = STUDY[:3]
    async with world(tmp_path) as w:
        south = await w.join("south")
        north = await w.join("north", sending=TO_SOUTH)
        await w.stop_pacs()
        await north.scanner().store(few)
        while not await south.find():
            await trio.sleep(0.02)
        await w.stop_broker()
        await desk(north).cancel(1, "anna")
        await north.stop()
        north = await w.run("north", sending=TO_SOUTH)
        with pytest.raises(PacsRefusedError, match="0x0124"):
            await north.scanner().store(STUDY[3:4])
        await w.start_broker()
        while (await sent(w)).cancelled is None:
            await trio.sleep(0.02)
        assert (await sent(w)).came is None, "the PACS cannot tell yet"
        assert origin_words(await sent(w)) == "cancelled by the hospital"
        await w.stop_broker()
        await w.start_pacs()
        await w.start_broker()
        assert (await is_ended(w)).came == 0
        while await south.find():
            await trio.sleep(0.02)
        assert not w.pacs.instances
        spool = desk(north).spool
        await until(lambda: not spool.index.list_cancellations())
        await desk(north).retry(1, "anna")
        await w.is_home(few)
        assert by_uid(await home(tmp_path)) == by_uid(few)


async def test_what_is_home_before_it_is_cancelled_is_home(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north = await w.join("north")
        assert north.peer.outbound is not None
        north.peer.outbound.outgoing.tuning = OutgoingTuning(quiet=0.5, first_look_seconds=1000)
        await north.scanner().store(STUDY[:3])
        await w.is_home(STUDY[:3])
        await desk(north).cancel(1, "anna")
        while not (await desk(north).get(1)).is_stored:
            await trio.sleep(0.02)
        assert not await trail(w)
        assert by_uid(await north.get()) == by_uid(STUDY[:3])


async def test_what_others_send_is_not_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        south, north = await w.join("south"), await w.join("north")
        await north.scanner().store(STUDY[:3])
        while not await south.find():
            await trio.sleep(0.02)
        with pytest.raises(ForbiddenError, match="not sent by this member"):
            await south.peer.host.call_broker(CancelQuery(0, UID, 1), timeout=10)
        await w.is_home(STUDY[:3])
        assert await trail(w) == [
            ("south", "sending cancelled", "is not sent by this member", "refused")
        ]
