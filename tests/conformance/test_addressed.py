"""A study is addressed to a hospital: it comes there by itself, whatever its read rule says."""

from pathlib import Path

import pytest
import trio

from broker.admins.actions import AdminActions
from broker.admins.study_addresses import address_study, end_address
from broker.database.recipients import list_due, list_recipients
from broker.ingest.sent import find_sent
from broker.members import registry
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import ForbiddenError
from p2pacs.retention.possession import holds_whole
from p2pacs.swarm.scheduling.priority import Priority
from peer.app import Peer
from peer.ingest.addressing import StudyAddressing
from peer.retrieval.requester import Requester
from tests.conformance.instances import make, noisy
from tests.conformance.test_hospital_sends import (
    LOCAL,
    STUDY,
    UID,
    Hospital,
    World,
    by_uid,
    home,
    until,
    world,
)

pytestmark = pytest.mark.system

TO_SOUTH = {"enabled": True, "reserve": 10**6, "to": {"south": {"priority": "stat"}}}


async def has_all(w: World, hospital: Hospital, version: int = 1) -> None:
    """Until a hospital has all of the study here, without that anybody asked for it."""
    peer, study = hospital.peer, w.broker.parts.studies.id_of(UID)
    while not await holds_whole(peer.store, peer.book.keys, study, version):
        await trio.sleep(0.02)


async def read_none(w: World, name: str) -> None:
    """The administrator lets a member read nothing."""
    keys, database = w.broker.keys, w.broker.files.database
    actions = AdminActions(keys.authority, keys.identity.address, w.settings)
    member = next(one for one in w.broker.parts.book.directory.members if one.name == name)
    await database.run(lambda c: actions.change_rule(c, member.address, "none", "test"))


def addressing(peer: Peer) -> StudyAddressing:
    assert peer.outbound is not None
    return peer.outbound.addressing


async def test_it_comes_by_itself_to_whom_it_is_addressed_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        south, east = await w.join("south"), await w.join("east")
        await read_none(w, "south")
        await read_none(w, "east")
        north = await w.join("north", sending=TO_SOUTH)
        await until(lambda: any(m.name == "north" for m in south.peer.book.directory.members))
        await north.scanner().store(STUDY)
        await has_all(w, south)
        await w.is_home(STUDY)
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)
        assert by_uid(await south.get()) == by_uid(STUDY)
        transfer = south.peer.host.engine.downloads.transfers[w.broker.parts.studies.id_of(UID)]
        assert transfer.priority is Priority.STAT
        (told,) = await south.peer.sent_here.newest(9)
        assert (told.study, told.sender) == (transfer.study, north.peer.identity.address)
        assert told.is_stat
        assert told.is_read  # by `get`
        assert [one.NumberOfStudyRelatedInstances for one in await south.find()] == [10]
        assert not await east.find()
        with pytest.raises(ForbiddenError):
            await east.peer.reads.resume(transfer.study, Requester("TEST", "get"))

        member = south.peer.identity.address

        def is_known() -> bool:
            found = index.copies(UID)
            return [(one.member, one.share) for one in found] == [(member, 1000)]

        assert north.peer.outbound is not None
        index = north.peer.outbound.spool.index.recipients
        await until(is_known)  # the sender knows it, too

        await addressing(north.peer).address(UID, ["east"])
        await has_all(w, east)
        while await south.find():
            await trio.sleep(0.02)
        with pytest.raises(ForbiddenError):  # a key is given no more
            await south.peer.reads.resume(transfer.study, Requester("TEST", "get"))


async def test_who_is_away_has_it_after_its_return_and_what_came_late_too(tmp_path: Path) -> None:
    late = [make(UID, 3, number) for number in range(1, 4)]
    async with world(tmp_path) as w:
        south = await w.join("south")
        north = await w.join("north", sending=TO_SOUTH)
        await south.stop()
        await north.scanner().store(STUDY)
        await w.is_home(STUDY)
        database, study = w.broker.files.database, w.broker.parts.studies.id_of(UID)
        assert len(await database.run(lambda c: list_due(c, study=study))) == 1
        await w.stop_broker()
        await w.start_broker()
        south = await w.run("south")
        await has_all(w, south)
        await north.scanner().store(late)
        await w.is_home([*STUDY, *late])
        assert north.peer.outbound is not None
        sent = north.peer.outbound.spool.index.study(UID)
        assert sent is not None
        await has_all(w, south, sent.version)
        assert by_uid(await south.get()) == by_uid([*STUDY, *late])
        while await database.run(lambda c: list_due(c, study=study)):
            await trio.sleep(0.02)
        assert len(await database.run(lambda c: list_recipients(c, study))) == 1


async def test_an_administrator_addresses_what_the_pacs_has(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        south = await w.join("south")
        await read_none(w, "south")
        await DimseClient(DimseRemote("PACS", LOCAL, w.pacs.port), "OTHER").store(STUDY)
        catalogue, database = w.broker.parts.catalogue, w.broker.files.database
        while (record := catalogue.by_uid(UID)) is None:
            await trio.sleep(0.05)
        assert not await south.find()
        member = await database.run(lambda c: registry.find_member(c, "south"))
        await database.run(lambda c: address_study(c, member, record, Priority.STAT, "anna"))
        await has_all(w, south)
        assert by_uid(await south.get()) == by_uid(STUDY)
        (told,) = await south.peer.sent_here.newest(9)
        assert told.sender == w.broker.keys.identity.address
        assert await database.run(lambda c: end_address(c, member, record, "anna"))
        while await south.find():
            await trio.sleep(0.02)


async def test_an_emergency_overtakes_what_is_on_its_way(tmp_path: Path) -> None:
    """Over a narrow line, and made one only when it had begun."""
    async with world(tmp_path) as w:
        north = await w.join("north", line={"uplink": 400_000})
        await until(lambda: north.peer.host.mesh.broker_linked)
        await north.scanner().store([noisy(number, UID) for number in range(1, 25)])
        study = w.broker.parts.studies.id_of(UID)
        transfers = w.broker.engine.downloads.transfers
        await until(lambda: study in transfers and transfers[study].bytes_held > 0)
        urgent = [noisy(number, "1.2.826.8") for number in range(1, 4)]
        await north.scanner().store(urgent)
        await addressing(north.peer).urge("1.2.826.8", Priority.STAT)
        of, database = w.broker.parts.studies.id_of("1.2.826.8"), w.broker.files.database
        while (known := await database.run(lambda c: find_sent(c, of))) is None or known.sending:
            await trio.sleep(0.02)
        assert known.priority is Priority.STAT
        routine = await database.run(lambda c: find_sent(c, study))
        assert routine is not None
        assert routine.sending
        assert w.pacs.instances < 24
