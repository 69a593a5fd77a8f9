from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import DiskFullError, LocalError, NoSourceError, StateError
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.serving import serve_web
from peer.api.api import make_api, make_token
from peer.api.client import PeerClient
from peer.commands.get.outcome import GetOutcome
from peer.commands.get.study import GetTuning, get
from peer.config import PeerSettings, save_peer_settings
from peer.retrieval.instances.live_index import Known
from tests.components import free_port
from tests.p2pacs.study.samples import instance
from tests.peer.fake_peer import STUDY, FakeFetch, FakePeer, transfer_of
from tests.peer.retrieval.test_large_reads import volume
from tests.waiting import eventually

UID = "1.2.840.99"
SERIES = "series-0000-01"
SENT = [instance(n, rows=8, columns=8) for n in (1, 2, 3)]


@define
class Seen:
    instances: list[tuple[int, int]] = field(factory=list)
    transfers: list[Any] = field(factory=list)
    second: Callable[[], None] = lambda: None
    aways: int = 0
    sheets: list[tuple[int, int, bool]] = field(factory=list)

    def instance(self, done: int, known: int) -> None:
        self.instances.append((done, known))
        if done == 2:
            self.second()

    def previews(self, here: int, known: int, *, sheet: bool) -> None:
        self.sheets.append((here, known, sheet))

    def away(self) -> None:
        self.aways += 1

    def transfer(self, transfer: dict[str, Any]) -> None:
        self.transfers.append(transfer)


@pytest.fixture
def fake() -> FakePeer:
    return FakePeer(FakeFetch(SENT))


@define
class Served:
    """The local interface of a peer that can be stopped."""

    folder: Path
    settings: PeerSettings
    fake: FakePeer
    nursery: trio.Nursery
    scope: trio.CancelScope = field(factory=trio.CancelScope)

    async def start(self) -> None:
        app = make_api(self.fake, make_token(self.folder))

        async def serve(*, task_status: trio.TaskStatus[object]) -> None:
            with trio.CancelScope() as self.scope:
                await serve_web(app, self.settings.api, stop=trio.Event(), task_status=task_status)

        await self.nursery.start(serve)


@pytest.fixture
async def peer(fake: FakePeer, tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Served]:
    said = {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    settings = PeerSettings.model_validate(said)
    save_peer_settings(tmp_path, settings)
    served = Served(tmp_path, settings, fake, nursery)
    await served.start()
    yield served
    nursery.cancel_scope.cancel()


def _read(out: Path) -> list[EncodedInstance]:
    return [EncodedInstance.from_part10(path.read_bytes()) for path in sorted(out.rglob("*.dcm"))]


async def test_a_study_becomes_files(peer: Served, tmp_path: Path) -> None:
    seen = Seen()
    outcome = await get(peer.folder, UID, tmp_path / "out", seen)
    assert _read(tmp_path / "out") == SENT
    assert [path.relative_to(tmp_path) for path in sorted((tmp_path / "out").rglob("*.dcm"))] == [
        Path("out", SERIES, f"0000{n}-0000{n}.dcm") for n in (1, 2, 3)
    ]
    size = sum(len(one.data) for one in SENT)
    assert outcome.json() == {
        "study": str(STUDY),
        "instances": 3,
        "written": 3,
        "kept": 0,
        "bytes_received": size,
        "seconds": 2.5,
        "sources": {"replica": size},
    }
    assert seen.instances == [(1, 3), (2, 3), (3, 3)]
    assert seen.transfers


async def test_what_came_before_was_not_received_by_this_run(
    peer: Served, fake: FakePeer, tmp_path: Path
) -> None:
    size = fake.before = sum(len(one.data) for one in SENT)
    seen = Seen()
    said = (await get(peer.folder, UID, tmp_path / "out", seen)).json()
    assert (said["bytes_received"], said["seconds"], said["sources"]) == (0, 0.0, {})
    assert (said["instances"], said["written"]) == (3, 3)
    assert seen.transfers[-1]["bytes_received"] == 0
    fake.before = size - 1_000
    said = (await get(peer.folder, UID, tmp_path / "out", Seen())).json()
    assert (said["bytes_received"], said["sources"]) == (1_000, {"replica": 1_000})


async def test_a_large_one_comes_in_pieces(
    peer: Served, fake: FakePeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = volume(2)
    fake.fetch = FakeFetch([SENT[0], large])
    whole = list[int]()
    ask = PeerClient.instance

    async def instance(self: PeerClient, study: str, number: int) -> bytes:
        whole.append(number)
        return await ask(self, study, number)

    monkeypatch.setattr(PeerClient, "instance", instance)
    outcome = await get(peer.folder, UID, tmp_path / "out", Seen())
    assert (outcome.written, whole) == (2, [1])
    assert _read(tmp_path / "out") == [SENT[0], large]
    outcome = await get(peer.folder, UID, tmp_path / "out", Seen())
    assert (outcome.written, outcome.kept) == (0, 2)
    (path,) = (tmp_path / "out").rglob("*-00002.dcm")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    outcome = await get(peer.folder, UID, tmp_path / "out", Seen())
    assert (outcome.written, outcome.kept) == (1, 1)
    assert _read(tmp_path / "out") == [SENT[0], large]


class Together(FakeFetch):
    """Gives nothing before three are asked for."""

    three = trio.Event()

    async def read(self, known: Known) -> EncodedInstance:
        instance = await super().read(known)
        if len(self.reads) == 3:
            self.three.set()
        with trio.fail_after(30):
            await self.three.wait()
        return instance


async def test_several_are_decoded_at_once(peer: Served, fake: FakePeer, tmp_path: Path) -> None:
    fake.fetch = Together(SENT)
    outcome = await get(peer.folder, UID, tmp_path / "out", Seen())
    assert outcome.written == 3
    assert _read(tmp_path / "out") == SENT


async def test_a_sheet_comes_with_the_files(peer: Served, fake: FakePeer, tmp_path: Path) -> None:
    fake.fetch.frames = 2
    seen, sheet = Seen(), tmp_path / "sheet.png"
    outcome = await get(peer.folder, UID, tmp_path / "out", seen, preview=sheet)
    assert _read(tmp_path / "out") == SENT
    assert outcome.json()["preview"] == {"file": str(sheet), "shown": 6, "images": 6}
    assert seen.sheets[-1] == (3, 3, True)
    assert sheet.read_bytes().startswith(b"\x89PNG")


async def test_a_sheet_that_cannot_be_written_ends_it(
    peer: Served, fake: FakePeer, tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match="cannot write") as caught:
        await get(peer.folder, UID, tmp_path / "out", Seen(), preview=tmp_path / "no" / "s.png")
    assert not isinstance(caught.value, ExceptionGroup)
    assert fake.fetch.given_up


@pytest.mark.parametrize("priority", list(Priority))
async def test_the_peer_is_told_how_urgent_it_is(
    peer: Served, fake: FakePeer, tmp_path: Path, priority: Priority
) -> None:
    await get(peer.folder, UID, tmp_path / "out", Seen(), priority.name.lower())
    assert fake.priorities[-1] is priority


async def test_what_is_whole_is_kept(peer: Served, fake: FakePeer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    await get(peer.folder, UID, out, Seen())
    first, second, _ = sorted((out / SERIES).iterdir())
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"rubbish")
    fake.fetch.reads.clear()
    outcome = await get(peer.folder, UID, out, Seen())
    assert (outcome.written, outcome.kept) == (2, 1)
    assert sorted(fake.fetch.reads) == [1, 2]
    assert _read(out) == SENT


async def test_a_folder_that_version_0_1_began_goes_on_as_it_is(
    peer: Served, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "00002.dcm").write_bytes(SENT[1].part10())
    outcome = await get(peer.folder, UID, out, Seen())
    assert (outcome.written, outcome.kept) == (2, 1)
    assert sorted(path.name for path in out.iterdir()) == [f"0000{n}.dcm" for n in (1, 2, 3)]
    assert _read(out) == SENT


async def test_breaking_off_tells_the_peer_and_keeps_the_files(
    peer: Served, fake: FakePeer, tmp_path: Path
) -> None:
    fake.fetch.stops_after = 2
    out = tmp_path / "out"
    with trio.CancelScope() as scope:
        await get(peer.folder, UID, out, Seen(second=scope.cancel))
    assert scope.cancelled_caught
    assert fake.fetch.given_up
    assert _read(out) == SENT[:2]
    fake.fetch.stops_after = None
    outcome = await get(peer.folder, UID, out, Seen())
    assert (outcome.written, outcome.kept) == (1, 2)


async def test_a_peer_that_stops_and_is_started_again(
    peer: Served, fake: FakePeer, tmp_path: Path
) -> None:
    hasty = GetTuning(look_seconds=0.01)
    fake.fetch.stops_after = 2
    out = tmp_path / "out"
    seen = Seen(second=peer.scope.cancel)
    outcomes: list[GetOutcome] = []

    async def run() -> None:
        outcomes.append(await get(peer.folder, UID, out, seen, "stat", tuning=hasty))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await eventually(lambda: seen.aways > 2)
        fake.fetch.stops_after = None
        await peer.start()
    assert _read(out) == SENT
    assert (outcomes[0].written, outcomes[0].kept, outcomes[0].instances) == (3, 0, 3)
    outcomes[0].earlier = [transfer_of(1_000, 5_000, seconds=1.0)]
    size = sum(len(one.data) for one in SENT)
    said = outcomes[0].json()
    assert (said["bytes_received"], said["seconds"]) == (size + 1_000, 3.5)
    assert said["sources"] == {"replica": size + 1_000}
    assert not fake.fetch.given_up
    assert sorted(fake.fetch.reads) == [1, 2, 3]
    assert fake.priorities == [Priority.STAT] * 2


async def test_a_peer_that_stops_for_good(peer: Served, fake: FakePeer, tmp_path: Path) -> None:
    hasty = GetTuning(returns_seconds=0.03, look_seconds=0.01)
    fake.fetch.stops_after = 2
    seen = Seen(second=peer.scope.cancel)
    with pytest.raises(StateError, match="p2pacs peer run"):
        await get(peer.folder, UID, tmp_path / "out", seen, tuning=hasty)
    assert seen.aways > 0
    assert _read(tmp_path / "out") == SENT[:2]


async def test_a_peer_that_does_not_run_is_not_waited_for(peer: Served, tmp_path: Path) -> None:
    peer.scope.cancel()
    seen = Seen()
    with pytest.raises(StateError, match="p2pacs peer run"):
        await get(peer.folder, UID, tmp_path / "out", seen)
    assert not seen.aways


async def test_an_error_of_the_peer(peer: Served, fake: FakePeer, tmp_path: Path) -> None:
    fake.fetch.stops_after, fake.fetch.error = 1, NoSourceError("no member has the rest")
    with pytest.raises(NoSourceError, match="the rest") as caught:
        await get(peer.folder, UID, tmp_path / "out", Seen())
    assert not isinstance(caught.value, ExceptionGroup)
    assert len(_read(tmp_path / "out")) == 1


async def test_a_folder_that_cannot_be(peer: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="cannot make the folder"):
        await get(peer.folder, UID, tmp_path / "file" / "out", Seen())


async def test_a_full_disk(peer: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DiskFullError, match="run the command again"):
        await get(peer.folder, UID, tmp_path / "out", Seen())
    assert not (tmp_path / "out").exists(), "no empty folder stays"
