"""A scanner stores at hospital A: the PACS and hospital B have the study, exact."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve, frozen
from pydicom.dataset import Dataset

from broker.admins.actions import AdminActions
from broker.app import Broker, open_broker
from broker.config import BrokerSettings
from broker.ingest.forwarding import ForwardingTuning
from broker.ingest.sent import find_sent
from broker.members.registry import Registration
from broker.setup import found
from broker.trail import audit
from p2pacs.archive.server import Archive, archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.dimse.commitment import CommitmentReport, CommitmentRequest, Reference
from p2pacs.errors import PacsRefusedError
from p2pacs.identity.directory import Role
from p2pacs.identity.token import Token
from p2pacs.units import Endpoint
from p2pacs.wire.enrolment.enrol import enrol
from peer.app import Peer, open_peer
from peer.config import IDENTITY, PeerSettings
from peer.ingest.outgoing_parts import OutgoingTuning
from tests.components import free_port
from tests.conformance.instances import make
from tests.peer.commitment.scanner import Scanner

LOCAL = "127.0.0.1"
UID = "1.2.826.7"
PATIENCE = 300.0

pytestmark = pytest.mark.system


@frozen
class Hospital:
    """A hospital's peer that runs."""

    peer: Peer
    dicom: Endpoint
    scope: trio.CancelScope
    ended: trio.Event

    async def stop(self) -> None:
        """End the peer."""
        self.scope.cancel()
        await self.ended.wait()

    def scanner(self, aet: str = "CT1") -> DimseClient:
        """What calls its gateway."""
        return DimseClient(DimseRemote("HOSPITAL", self.dicom.host, self.dicom.port), aet)

    async def find(self, uid: str = UID) -> list[Dataset]:
        """The study as a workstation finds it."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = uid
        identifier.PatientName = identifier.NumberOfStudyRelatedInstances = None
        return await self.scanner("VIEWER").find(identifier)

    async def get(self, uid: str = UID) -> list[EncodedInstance]:
        """The study as a workstation retrieves it."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = uid
        client = self.scanner("VIEWER")
        one = make(UID)
        classes = {one.sop_class_uid: [one.transfer_syntax_uid]}
        async with client.get(identifier, classes=classes) as inbox:
            return [one async for one in inbox]


class World:
    """A PACS, a broker, and hospitals that join."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.folder = folder
        self.pacs: Archive
        self.port = free_port()
        self.nursery = nursery
        self.broker: Broker
        self.settings = BrokerSettings.model_validate(
            {
                "name": "broker",
                "pacs": f"dimse://PACS@{LOCAL}:{self.port}?retrieve=get",
                "listen": [f"{LOCAL}:{free_port()}"],
                "web": {"listen": f"{LOCAL}:0"},
                "sweep": {"every_seconds": 5},
            }
        )
        found(
            folder / "broker", self.settings, network="net", admin="admin", password="long enough 1"
        )
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._closing = trio.Event()

    async def start_pacs(self) -> None:
        await self.nursery.start(self._run_pacs)

    async def _run_pacs(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with archive(self.folder / "pacs", "PACS", Endpoint(LOCAL, self.port)) as self.pacs:
            task_status.started()
            await self._closing.wait()
        self._closing = trio.Event()

    async def stop_pacs(self) -> None:
        closing = self._closing
        closing.set()
        while closing is self._closing:
            await trio.sleep(0.02)

    async def delete(self, instances: list[EncodedInstance]) -> None:
        """What somebody does at the PACS."""
        await self.stop_pacs()
        for one in instances:
            name = hashlib.sha256(one.sop_instance_uid.encode()).hexdigest()[:32]
            await trio.Path(self.folder / "pacs" / f"{name}.dcm").unlink()
        await self.start_pacs()

    async def start_broker(self) -> None:
        await self.nursery.start(self._run_broker)

    async def _run_broker(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with open_broker(self.folder / "broker", self.settings) as broker:
            self.broker = broker
            broker.forwarding.tuning = ForwardingTuning(retry_seconds=0.2, adopt_seconds=0.5)
            with trio.CancelScope() as self._scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(broker.run, trio.Event())
                    task_status.started()
        self._ended.set()

    async def stop_broker(self) -> None:
        self._scope.cancel()
        await self._ended.wait()
        self._ended = trio.Event()

    @property
    def actions(self) -> AdminActions:
        keys = self.broker.keys
        return AdminActions(keys.authority, keys.identity.address, self.settings)

    async def join(self, name: str, *, send: str = "all", **settings: Any) -> Hospital:
        """Register a hospital, and run its peer."""
        folder = self.folder / name
        actions = self.actions
        registration = Registration(name, Role.HOSPITAL, None, None, "all")
        member, token = await self.broker.files.database.run(
            lambda c: actions.register(c, registration, "test")
        )
        await self.broker.files.database.run(
            lambda c: actions.change_send(c, member.address, send, "test")
        )
        folder.mkdir()
        await enrol(Token.decode(token), folder / IDENTITY, [])
        return await self.run(name, **settings)

    async def run(self, name: str, **settings: Any) -> Hospital:
        """Run a hospital's peer that has joined."""
        said = {
            "name": name,
            "listen": [f"{LOCAL}:{free_port()}"],
            "aet": "HOSPITAL",
            "dicom": f"{LOCAL}:{free_port()}",
            "sending": {"enabled": True, "reserve": 10**6},
            **settings,
        }
        made: Hospital = await self.nursery.start(
            self._run_peer, self.folder / name, PeerSettings.model_validate(said)
        )
        return made

    async def is_home(self, study: list[EncodedInstance]) -> None:
        """Until the PACS has it, and the broker has found that out."""
        of, database = self.broker.parts.studies.id_of(UID), self.broker.files.database
        while True:
            known = await database.run(lambda c: find_sent(c, of))
            is_over = known is not None and not known.sending
            if is_over and self.pacs.instances == len(study):
                return
            await trio.sleep(0.02)

    async def _run_peer(
        self, folder: Path, settings: PeerSettings, *, task_status: trio.TaskStatus[Hospital]
    ) -> None:
        ended = trio.Event()
        with trio.CancelScope() as scope:
            async with open_peer(folder, settings) as peer, trio.open_nursery() as nursery:
                if peer.outbound is not None:
                    peer.outbound.outgoing.tuning = OutgoingTuning(
                        quiet=0.5, report_seconds=0.1, look_seconds=0.2, retry_seconds=0.2
                    )
                await nursery.start(peer.run)
                async with peer.gateway() as dicom:
                    assert dicom.plain is not None
                    task_status.started(Hospital(peer, dicom.plain, scope, ended))
                    await trio.sleep_forever()
        ended.set()


@asynccontextmanager
async def world(folder: Path, *, is_away: bool = False) -> AsyncIterator[World]:
    """Where the PACS is away, the broker does not find it."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            made = World(folder, nursery)
            await made.start_pacs()
            await made.start_broker()
            yield made
            nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.02)


def by_uid(instances: list[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {one.sop_instance_uid: one for one in instances}


async def home(folder: Path) -> list[EncodedInstance]:
    """What the PACS has."""
    paths = sorted((folder / "pacs").glob("*.dcm"))
    return [EncodedInstance.from_part10(await trio.Path(path).read_bytes()) for path in paths]


STUDY = [make(UID, series, number) for series in (1, 2) for number in range(1, 6)]


async def test_a_study_goes_home_and_to_another_hospital(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north, south = await w.join("north"), await w.join("south")
        assert await north.scanner().store(STUDY) == len(STUDY)
        while not await north.find():
            await trio.sleep(0.02)
        await until(lambda: w.pacs.instances == len(STUDY))
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)
        for hospital in (south, north):
            while [one.NumberOfStudyRelatedInstances for one in await hospital.find()] != [10]:
                await trio.sleep(0.02)
            assert by_uid(await hospital.get()) == by_uid(STUDY)
        files = tmp_path / "north" / "spool" / "instances"
        await until(lambda: not list(files.iterdir()))


async def test_instances_that_come_late_follow_and_known_ones_change_nothing(
    tmp_path: Path,
) -> None:
    late = [make(UID, 3, number) for number in range(1, 4)]
    async with world(tmp_path) as w:
        north = await w.join("north")
        await north.scanner().store(STUDY)
        await w.is_home(STUDY)
        await north.scanner().store(STUDY[:2])
        await north.scanner().store(late)
        await w.is_home([*STUDY, *late])
        assert by_uid(await home(tmp_path)) == by_uid([*STUDY, *late])
        assert by_uid(await north.get()) == by_uid([*STUDY, *late])


async def test_what_the_pacs_deleted_comes_home_when_it_is_sent_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north = await w.join("north")
        await north.scanner().store(STUDY)
        files = tmp_path / "north" / "spool" / "instances"
        for deleted in (STUDY[:6], STUDY):
            await until(lambda: not list(files.iterdir()))
            await w.delete(deleted)
            await north.scanner().store(STUDY)
            await until(lambda: w.pacs.instances == len(STUDY))
            assert by_uid(await home(tmp_path)) == by_uid(STUDY)


async def test_what_the_pacs_deleted_before_the_hospital_looked_comes_home_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        north = await w.join("north")
        assert north.peer.outbound is not None
        outgoing = north.peer.outbound.outgoing
        outgoing.tuning = OutgoingTuning(quiet=0.5, report_seconds=0.1, first_look_seconds=1000)
        await w.stop_pacs()
        await north.scanner().store(STUDY)
        of = w.broker.parts.studies.id_of(UID)
        while not await w.broker.forwarding.held(of):
            await trio.sleep(0.02)
        await trio.sleep(2)  # the first look is over, and the next one far away
        await w.start_pacs()
        await w.is_home(STUDY)
        files = tmp_path / "north" / "spool" / "instances"
        assert len(list(files.iterdir())) == len(STUDY), "it has not looked yet"
        await w.delete(STUDY[:6])
        await north.scanner().store(STUDY)
        while list(files.iterdir()):
            outgoing.linked()  # it looks now
            await trio.sleep(0.3)
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)


async def test_without_a_broker_it_waits_and_a_restart_loses_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north = await w.join("north")
        await w.stop_broker()
        await north.scanner().store(STUDY[:6])
        await north.stop()
        north = await w.run("north")
        await north.scanner().store(STUDY)
        await w.start_broker()
        await until(lambda: w.pacs.instances == len(STUDY))
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)
        while not await north.find():
            await trio.sleep(0.02)


async def test_what_a_hospital_sent_comes_home_though_it_was_revoked(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north, south = await w.join("north"), await w.join("south")
        await w.stop_pacs()
        await north.scanner().store(STUDY)
        of = w.broker.parts.studies.id_of(UID)
        while not await w.broker.forwarding.held(of):
            await trio.sleep(0.02)
        assert await w.broker.files.database.run(
            lambda c: w.actions.revoke(c, north.peer.identity.address, "test")
        )
        await w.start_pacs()
        await until(lambda: w.pacs.instances == len(STUDY))
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)
        while of in w.broker.parts.sending:
            await trio.sleep(0.02)
        more = make(UID, 4, 1)
        await DimseClient(DimseRemote("PACS", LOCAL, w.port), "OTHER").store([more])
        while len(await south.get()) != len(STUDY) + 1:
            await trio.sleep(0.1)


async def test_a_study_of_another_hospital_is_not_overwritten(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north, south = await w.join("north"), await w.join("south")
        await north.scanner().store(STUDY)
        await until(lambda: w.pacs.instances == len(STUDY))
        await south.scanner().store([make(UID, 1, 1, name="Other^Patient")])
        assert south.peer.outbound is not None
        spool = south.peer.outbound.spool

        def is_refused() -> bool:
            study = spool.index.study(UID)
            return study is not None and study.refused is not None

        await until(is_refused)
        with pytest.raises(PacsRefusedError, match="0x0124"):
            await south.scanner().store([make(UID, 1, 2, name="Other^Patient")])
        assert by_uid(await home(tmp_path)) == by_uid(STUDY)


async def test_odd_instances_go_home_as_they_came(tmp_path: Path) -> None:
    """Of another patient, cut off in the pixels; of two under one UID the first."""
    whole = make(UID, 3, 1)
    odd = [
        make(UID, 1, 1),
        make(UID, 1, 2, name="Other^Patient", patient="P2"),
        evolve(whole, data=whole.data[:-1000]),
    ]
    async with world(tmp_path) as w:
        north = await w.join("north")
        await north.scanner().store(odd)
        await north.scanner().store([make(UID, 1, 1, name="Third^Patient")])
        await w.is_home(odd)
        assert by_uid(await home(tmp_path)) == by_uid(odd)
        assert by_uid(await north.get()) == by_uid(odd)
        assert north.peer.outbound is not None
        study = north.peer.outbound.spool.index.study(UID)
        assert study is not None
        assert (study.mixed, study.beside, study.refused) == (True, 1, None)


async def test_who_may_not_send_keeps_what_came_and_hears_why(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        north = await w.join("north", send="MR1")
        await north.scanner().store(STUDY[:1])
        assert north.peer.outbound is not None
        spool = north.peer.outbound.spool

        def is_refused() -> bool:
            study = spool.index.study(UID)
            return study is not None and study.refused is not None

        await until(is_refused)
        with pytest.raises(PacsRefusedError, match="0x0124"):
            await north.scanner().store(STUDY[1:2])
        assert not w.pacs.instances
        trail = await w.broker.files.database.run(audit.read)
        assert ("study sent", "north", audit.REFUSED) in [
            (one.what, one.actor, one.outcome) for one in trail
        ]
        await north.scanner("MR1").store([make("1.2.826.8", modality="MR")])
        await until(lambda: w.pacs.instances == 1)


async def test_who_may_store_and_what(tmp_path: Path) -> None:
    one = make(UID)
    sending = {"enabled": True, "reserve": 10**6, "callers": ["CT1"]}
    async with world(tmp_path) as w:
        north = await w.join("north", sending=sending)
        with pytest.raises(PacsRefusedError, match="0x0124"):
            await north.scanner("OTHER").store([one])
        with pytest.raises(PacsRefusedError, match="0xA900"):
            await north.scanner().store([evolve(one, sop_instance_uid="1.2.3")])
        with pytest.raises(PacsRefusedError, match="0xC000"):
            await north.scanner().store([evolve(one, data=one.data[:40])])
        full = await w.join("full", sending={"enabled": True, "reserve": 10**17})
        with pytest.raises(PacsRefusedError, match="0xA700"):
            await full.scanner().store([one])
        silent = await w.join("silent", sending={})
        with pytest.raises(PacsRefusedError):
            await silent.scanner().store([one])
        assert north.peer.outbound is not None
        assert not north.peer.outbound.spool.index.list_studies()


async def test_what_the_pacs_has_besides_is_published_by_the_broker(tmp_path: Path) -> None:
    """It goes on from the version that the hospital signed."""
    more = make(UID, 4, 1)
    async with world(tmp_path) as w:
        north, south = await w.join("north"), await w.join("south")
        await north.scanner().store(STUDY)
        await w.is_home(STUDY)
        while not await south.find():
            await trio.sleep(0.02)
        assert by_uid(await south.get()) == by_uid(STUDY)
        await DimseClient(DimseRemote("PACS", LOCAL, w.port), "OTHER").store([more])
        while len(await south.get()) != len(STUDY) + 1:
            await trio.sleep(0.1)
        assert by_uid(await north.get()) == by_uid([*STUDY, more])


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_scanner_is_told_that_its_study_is_safe(tmp_path: Path, is_away: bool) -> None:
    """In the PACS; or, as that is away, at the broker and another hospital."""
    scanner = Scanner()
    async with world(tmp_path, is_away=is_away) as network:
        destinations = {"CT1": f"{LOCAL}:{scanner.port}"}
        home = await network.join("home", gateway={"destinations": destinations})
        study = [make(UID, number=number) for number in range(1, 4)]
        await home.scanner().store(study)
        if is_away:
            other = await network.join("other")
            await other_has(other, len(study))
        else:
            await network.is_home(study)
        named = tuple(Reference(one.sop_class_uid, one.sop_instance_uid) for one in study)
        with scanner.listening():
            assert await scanner.ask(home.dicom.port, CommitmentRequest("1.9", named)) == 0
            reports = await scanner.hears()
    assert reports == [("HOSPITAL", CommitmentReport("1.9", named))]


async def other_has(hospital: Hospital, count: int) -> None:
    """Until a hospital has read the whole study."""
    while True:
        with suppress(PacsRefusedError):
            if len(await hospital.get()) == count:
                return
        await trio.sleep(0.1)
