"""``p2pacs send`` against a local interface that is served, and a real spool behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve, field

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    DiskFullError,
    ForbiddenError,
    NotFoundError,
    PacsDataError,
    StateError,
    UsageError,
)
from p2pacs.ids import StudyId
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.serving import serve_web
from peer.api.api import make_api, make_token
from peer.commands.send.outcome import SendOutcome
from peer.commands.send.run import SendOptions, SendTuning, send
from peer.config import PeerSettings, save_peer_settings
from peer.ingest.incoming_files import IncomingFiles
from peer.spool.spool import Spool
from tests.components import free_port
from tests.conformance.instances import make
from tests.peer.fake_peer import FakePeer
from tests.peer.fake_sending import FakeSending
from tests.waiting import eventually

UID = "1.2.826.7"
STUDY = StudyId(bytes(16))
SENT = [make(UID, 1, number) for number in range(1, 41)]


def member() -> None:
    """It is one."""


@define
class Watched:
    files: int = 0
    size: int = 0
    moves: list[tuple[int, int]] = field(factory=list)
    states: list[str] = field(factory=list)
    aways: int = 0
    moved_to: Callable[[int], None] = lambda _: None

    def found(self, files: int, size: int) -> None:
        self.files, self.size = files, size

    def moved(self, files: int, size: int) -> None:
        self.moves.append((files, size))
        self.moved_to(files)

    def studies(self, studies: Sequence[JsonObject]) -> None:
        self.states += [one["state"] for one in studies]

    def away(self) -> None:
        self.aways += 1


@define
class Addressed:
    """Satisfies `peer.api.outgoing.Addresses`."""

    to: dict[str, tuple[list[str], Priority]] = field(factory=dict)
    urged: list[tuple[str, Priority]] = field(factory=list)

    def check(self, names: Sequence[str]) -> None:
        if unknown := set(names) - {"Capital", "Children"}:
            raise NotFoundError(f"no other hospital is called {unknown.pop()}")

    async def urge(self, uid: str, priority: Priority) -> None:
        await trio.lowlevel.checkpoint()
        self.urged.append((uid, priority))

    async def address(self, uid: str, names: Sequence[str], priority: Priority) -> None:
        await trio.lowlevel.checkpoint()
        self.to[uid] = (list(names), priority)


@define
class Served:
    """A local interface that can be stopped."""

    folder: Path
    settings: PeerSettings
    fake: FakePeer
    spool: Spool
    nursery: trio.Nursery
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)

    async def start(self) -> None:
        app = make_api(self.fake, make_token(self.folder))

        async def serve(*, task_status: trio.TaskStatus[object]) -> None:
            with trio.CancelScope() as self.scope:
                await serve_web(app, self.settings.api, stop=trio.Event(), task_status=task_status)
            self.ended.set()

        await self.nursery.start(serve)

    def held(self) -> list[EncodedInstance]:
        found = self.spool.index.list_instances(UID)
        return sorted((self.spool.read(one) for one in found), key=lambda one: one.sop_instance_uid)

    async def send(
        self, *named: Path, watched: Watched | None = None, **options: Any
    ) -> SendOutcome:
        tuning = SendTuning(returns_seconds=20, look_seconds=0.02)
        watcher = watched or Watched()
        return await send(self.folder, named, watcher, SendOptions(**options), tuning)


@pytest.fixture
async def peer(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Served]:
    said = {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    settings = PeerSettings.model_validate(said)
    folder = tmp_path / "peer"
    folder.mkdir()
    save_peer_settings(folder, settings)
    spool = Spool(folder / "spool", reserve=0)
    fake = FakePeer(sent=FakeSending(spool).desk, addresses=Addressed())
    fake.incoming = IncomingFiles(spool, "HOSPITAL", member)
    served = Served(folder, settings, fake, spool, nursery)
    await served.start()
    yield served
    nursery.cancel_scope.cancel()
    spool.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number, one in enumerate(SENT):
        (folder / f"{number:03d}.dcm").write_bytes(one.part10())
    (folder / "notes.txt").write_text("nothing")
    return folder


def sorted_by_uid(instances: Sequence[EncodedInstance]) -> list[EncodedInstance]:
    return sorted(instances, key=lambda one: one.sop_instance_uid)


async def test_files_are_on_the_peer_s_disk(peer: Served, files: Path) -> None:
    watched = Watched()
    outcome = await peer.send(files, watched=watched)
    outcome.check()
    assert peer.held() == sorted_by_uid(SENT)
    said = outcome.json()
    size = sum(path.stat().st_size for path in files.glob("*.dcm"))
    assert (said["files"], said["kept"], said["known"], said["others"]) == (40, 40, 0, 1)
    assert said["bytes"] == size
    assert (watched.files, watched.size) == (40, size)
    assert watched.moves[-1] == (40, size)
    (study,) = said["studies"]
    assert (study["study_instance_uid"], study["state"], study["instances"]) == (
        UID,
        "publishing",
        40,
    )


async def test_what_is_there_is_not_sent_again(peer: Served, files: Path) -> None:
    await peer.send(files / "003.dcm", files / "004.dcm")
    outcome = await peer.send(files)
    assert (outcome.counts["kept"], outcome.counts["known"]) == (38, 2)
    outcome = await peer.send(files)
    assert (outcome.counts["kept"], outcome.counts["known"], outcome.size) == (0, 40, 0)
    outcome.check()


async def test_what_is_refused_is_named_and_keeps_nothing_back(peer: Served, files: Path) -> None:
    broken = files / "broken.dcm"
    broken.write_bytes(evolve(SENT[0], data=SENT[0].data[:40]).part10())
    other = files / "other.dcm"
    other.write_bytes(make(UID, 1, 1, name="Other^Name").part10())
    outcome = await peer.send(files)
    assert set(outcome.refused) == {broken}
    assert (outcome.counts["kept"], outcome.counts["beside"]) == (40, 1)
    with pytest.raises(PacsDataError, match="one file was not taken"):
        outcome.check()
    broken.unlink()
    outcome = await peer.send(files)
    assert outcome.json()["beside"] == [str(other)]
    with pytest.raises(PacsDataError, match="kept beside"):
        outcome.check()


async def test_data_sets_without_their_header(peer: Served, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_bytes(SENT[0].data)
    with pytest.raises(UsageError, match="--force"):
        await peer.send(bare)
    (await peer.send(bare, force=True)).check()
    assert peer.held() == [SENT[0]]


async def test_nothing_to_send(peer: Served, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match=r"there are no files in .*empty$"):
        await peer.send(empty)
    (empty / "notes.txt").write_text("nothing")
    with pytest.raises(UsageError, match=r"no DICOM files, but one other file;.* --force"):
        await peer.send(empty)


async def test_a_peer_that_sends_nothing(peer: Served, files: Path) -> None:
    peer.fake.incoming = None
    with pytest.raises(StateError, match="sends nothing"):
        await peer.send(files)


async def test_a_peer_that_does_not_run(peer: Served, files: Path) -> None:
    peer.scope.cancel()
    with pytest.raises(StateError, match="p2pacs peer run"):
        await peer.send(files)


async def test_a_peer_that_is_started_again_in_the_middle(peer: Served, files: Path) -> None:
    watched = Watched()

    def stop(done: int) -> None:
        if done == 10:  # once: pieces of further files may be read before the next one is done
            watched.moved_to = lambda _: None
            peer.scope.cancel()

    watched.moved_to = stop

    async def start_again() -> None:
        await peer.ended.wait()
        await eventually(lambda: watched.aways > 0)
        await peer.start()

    peer.nursery.start_soon(start_again)
    outcome = await peer.send(files, watched=watched)
    outcome.check()
    assert outcome.counts.total() == 40
    assert peer.held() == sorted_by_uid(SENT)
    assert max(size for _, size in watched.moves) == watched.size == watched.moves[-1][1]


async def test_a_full_disk_ends_it_and_says_what_was_taken(
    peer: Served, files: Path, tmp_path: Path
) -> None:
    await peer.send(files / "000.dcm")
    full = Spool(peer.folder / "spool", reserve=10**17)
    peer.fake.incoming = IncomingFiles(full, "HOSPITAL", member)
    outcome = await peer.send(files)
    assert outcome.counts["known"] == 1
    with pytest.raises(DiskFullError, match="no room"):
        outcome.check()
    full.close()


async def test_waiting_for_the_pacs(peer: Served, files: Path) -> None:
    watched, index = Watched(), peer.spool.index

    async def go_on() -> None:
        await eventually(lambda: watched.states[-1:] == ["publishing"])
        index.admitted(UID, STUDY)
        index.version_out(UID, 1)
        index.all_out(UID, 40)
        await eventually(lambda: watched.states[-1:] == ["published"])
        peer.spool.safe(UID, 40)

    peer.nursery.start_soon(go_on)
    outcome = await peer.send(files, watched=watched, wait=True)
    outcome.check()
    assert outcome.json()["studies"][0]["study"] == str(STUDY)
    assert watched.states[-1] == "stored"


async def test_a_study_that_may_not_be_sent(peer: Served, files: Path) -> None:
    await peer.send(files / "000.dcm")
    peer.spool.index.refuse(UID, "it belongs to the PACS")
    outcome = await peer.send(files / "000.dcm", wait=True)
    with pytest.raises(ForbiddenError, match="it belongs to the PACS"):
        outcome.check()
    outcome = await peer.send(files / "001.dcm")
    assert set(outcome.refused) == {files / "001.dcm"}
    with pytest.raises(ForbiddenError):
        outcome.check()


async def test_a_study_that_is_cancelled_is_not_waited_for(peer: Served, files: Path) -> None:
    await peer.send(files / "000.dcm")
    peer.spool.index.cancel(UID, "rita")
    outcome = await peer.send(files / "000.dcm", wait=True)
    with pytest.raises(ForbiddenError, match="cancelled by rita"):
        outcome.check()


async def test_to_whom_studies_go(peer: Served, files: Path, tmp_path: Path) -> None:
    (files / "other.dcm").write_bytes(make("1.2.826.9").part10())
    await peer.send(files / "000.dcm")
    addressed = peer.fake.addresses
    assert isinstance(addressed, Addressed)
    assert not addressed.to
    assert not addressed.urged
    await peer.send(files / "000.dcm", priority="stat")
    assert addressed.urged == [(UID, Priority.STAT)]
    assert not addressed.to
    to = ("Capital", "Children")
    (await peer.send(files, to=to, priority="stat")).check()
    assert addressed.to == dict.fromkeys((UID, "1.2.826.9"), (list(to), Priority.STAT))


async def test_who_is_no_member_is_said_before_anything_is_sent(peer: Served, files: Path) -> None:
    with pytest.raises(NotFoundError, match="Nowhere"):
        await peer.send(files, to=("Nowhere",))
    assert not peer.held()
