"""What the parts of a real broker have of each other: with a real PACS, and a real replica."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
import trio
from attrs import evolve
from pydicom import dcmread

from broker.admins.actions import AdminActions
from broker.app import Broker, open_broker
from broker.config import BrokerSettings
from broker.members.registry import Registration
from broker.setup import found
from p2pacs.archive.server import Archive, archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import StudyNotFoundError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.units import Endpoint
from peer.app import Peer, open_peer
from peer.commands.join import JoinOptions, join
from tests.broker.test_app import LOCAL, PASSWORD
from tests.components import free_port
from tests.p2pacs.study import samples
from tests.p2pacs.workers.kept import KeptWorker
from tests.waiting import eventually

LIMIT = 60.0
OTHER = "1.2.826.0.1.3680043.8.498.77"
"""Another study."""


def _instances(count: int, study: str = samples.STUDY_UID, **changed: str) -> list[EncodedInstance]:
    made = []
    for number in range(count):
        dataset = dcmread(BytesIO(samples.instance(number).part10()))
        dataset.StudyInstanceUID = study
        if study != samples.STUDY_UID:
            for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
                setattr(dataset, keyword, f"{dataset[keyword].value}.7")
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        for keyword, value in changed.items():
            setattr(dataset, keyword, value)
        out = BytesIO()
        dataset.save_as(out)
        made.append(EncodedInstance.from_part10(out.getvalue()))
    return made


@asynccontextmanager
async def _running(tmp_path: Path, pacs: Archive, **store: str) -> AsyncIterator[Broker]:
    """A real broker; it recycles at once what it may."""
    settings = BrokerSettings.model_validate(
        {
            "pacs": f"dimse://PACS@{LOCAL}:{pacs.port}",
            "listen": [f"{LOCAL}:{free_port()}"],
            "web": {"listen": f"{LOCAL}:0"},
            "store": store,
        }
    )
    folder = tmp_path / "broker"
    found(folder, settings, network="a network", admin="admin", password=PASSWORD)
    async with (
        open_broker(folder, settings, KeptWorker.start) as broker,
        trio.open_nursery() as nursery,
    ):
        broker.recycler.tuning = evolve(
            broker.recycler.tuning, look_seconds=0.1, served_seconds=0.0
        )
        await nursery.start(broker.run, trio.Event())
        await eventually(lambda: len(broker.parts.catalogue), LIMIT)
        yield broker
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _replica(broker: Broker, folder: Path) -> AsyncIterator[Peer]:
    """A real replica of it, linked."""
    keys = broker.keys
    actions = AdminActions(keys.authority, keys.identity.address, broker.settings)
    plan = Registration("R1", Role.REPLICA, None, None, "none")
    _, token = await broker.parts.database.run(lambda c: actions.register(c, plan, "admin"))
    joined = await join(folder, token, JoinOptions(listen=(Endpoint(LOCAL, free_port()),)))
    async with (
        open_peer(folder, joined.settings, KeptWorker.start) as peer,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(peer.run)
        await eventually(lambda: peer.identity.address in broker.node.host.mesh.links, LIMIT)
        yield peer
        nursery.cancel_scope.cancel()


async def _published(broker: Broker, uid: str = samples.STUDY_UID) -> PublishProgress:
    progress = broker.publisher.stage(uid)
    with trio.fail_after(LIMIT):
        await progress.wait()
    return progress


async def _replicated(broker: Broker, replica: Peer, study: StudyId) -> None:
    """The replica has all of it, and has said so."""
    replica.replica.order(study)
    me = broker.keys.identity.address
    await eventually(lambda: broker.parts.holders.whole(study, me), LIMIT)


@pytest.fixture
async def pacs(tmp_path: Path) -> AsyncIterator[Archive]:
    async with archive(tmp_path / "archive", "PACS", Endpoint(LOCAL, 0)) as running:
        for one in _instances(2):
            running.folder.put(one)
        yield running


async def test_what_the_pacs_does_not_have_any_more_leaves_the_catalogue(
    pacs: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(tmp_path, pacs) as broker:
        study = (await _published(broker)).study
        monkeypatch.setattr(pacs.folder, "records", lambda: iter(()))  # all are deleted
        progress = broker.publisher.stage(samples.STUDY_UID)
        with trio.fail_after(LIMIT), pytest.raises(StudyNotFoundError):
            await progress.wait()
        assert broker.parts.catalogue.get(study) is None


@pytest.mark.parametrize("corrected", [False, True])
async def test_a_published_study_that_changed_in_the_pacs_is_published_anew(
    pacs: Archive, tmp_path: Path, corrected: bool
) -> None:
    async with _running(tmp_path, pacs) as broker:
        before = await _published(broker)
        news = _instances(2, PatientName="Roe^Jane") if corrected else _instances(3)[2:]
        for one in news:
            pacs.folder.put(one)
        await broker.catalogue_sync.look(whole=True)
        progress = broker.publisher.publications[before.study]
        assert progress is not before
        assert progress.everything == corrected
        with trio.fail_after(LIMIT):
            await progress.wait()
        assert progress.version > before.version


async def test_a_full_store_makes_room_for_the_next_study(pacs: Archive, tmp_path: Path) -> None:
    async with _running(tmp_path, pacs) as broker, _replica(broker, tmp_path / "r1") as replica:
        first = (await _published(broker)).study
        await _replicated(broker, replica, first)
        for one in _instances(1, OTHER):  # smaller, in however many versions it comes out
            pacs.folder.put(one)
        store = broker.parts.store
        store.writer.capacity = store.used + 100
        broker.recycler.tuning = evolve(broker.recycler.tuning, high=2.0)  # not by itself
        second = (await _published(broker, OTHER)).study
        assert store.holds(second)
        assert not store.holds(first)


async def test_a_store_is_kept_below_its_capacity(pacs: Archive, tmp_path: Path) -> None:
    async with (
        _running(tmp_path, pacs, capacity="1GB") as broker,
        _replica(broker, tmp_path / "r1") as replica,
    ):
        study = (await _published(broker)).study
        store = broker.parts.store
        store.writer.capacity = store.used  # above its mark; nobody else has the study yet
        await _replicated(broker, replica, study)
        await eventually(lambda: not store.holds(study), LIMIT)


async def test_what_the_store_lost_is_fetched_back_from_a_member(
    pacs: Archive, tmp_path: Path
) -> None:
    async with _running(tmp_path, pacs) as broker, _replica(broker, tmp_path / "r1") as replica:
        before = await _published(broker)
        store, study = broker.parts.store, before.study
        root = (await store.study(study)).root
        await _replicated(broker, replica, study)
        broker.engine.dropped(study)
        await store.drop(study)
        after = await _published(broker)
        assert (await store.study(study)).root == root
        assert after.version == before.version
        transfer = broker.engine.downloads.transfers[study]
        assert transfer.state is TransferState.COMPLETE
