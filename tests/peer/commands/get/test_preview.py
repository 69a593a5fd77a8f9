from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import define, field

from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    DiskFullError,
    LocalError,
    NoSourceError,
    NotFoundError,
    P2PacsError,
    WorkerError,
    first_of,
)
from peer.api.client import PeerClient
from peer.commands.get.preview import PreviewSheet
from tests.p2pacs.study.samples import instance
from tests.peer.commands.get.test_study import Served, peer  # noqa: F401 (a fixture)
from tests.peer.fake_peer import PREVIEWS, STUDY, FakeFetch, FakePeer
from tests.waiting import eventually

COUNT = 20
EARLY = (3, 11, 19)
"""Every eighth of so many, counted from the middle."""


@define
class Seen:
    previews_: list[tuple[int, int, bool]] = field(factory=list)

    def previews(self, here: int, known: int, *, sheet: bool) -> None:
        self.previews_.append((here, known, sheet))


@pytest.fixture
def fake() -> FakePeer:
    fetch = FakeFetch([instance(n, rows=8, columns=8) for n in range(1, COUNT + 1)], frames=1)
    fetch.missing = {n for one in fetch.known for _, numbers in one.levels for n in numbers}
    return FakePeer(fetch, opened=["1"])


@pytest.fixture
async def client(peer: Served) -> AsyncIterator[PeerClient]:  # noqa: F811
    async with PeerClient.connect(peer.folder) as connected:
        yield connected


def arrive(fake: FakePeer, *numbers: int) -> None:
    fake.fetch.arrive(*(PREVIEWS + number for number in numbers))


async def test_a_sheet_with_an_eighth_and_one_with_all(
    fake: FakePeer, client: PeerClient, tmp_path: Path
) -> None:
    path, seen = tmp_path / "sheet.png", Seen()
    sheet = PreviewSheet(path, seen)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sheet.follow, client, str(STUDY))
        arrive(fake, *EARLY[:2])
        await eventually(lambda: sheet.shown == 2)
        assert not path.exists()
        arrive(fake, EARLY[2])
        await eventually(path.exists)
        assert sheet.json() == {"file": str(path), "shown": 3, "images": COUNT}
        first = path.read_bytes()
        assert not any(done for _, _, done in seen.previews_)
        arrive(fake, *range(1, COUNT))
        await eventually(lambda: sheet.shown == COUNT - 1)
        assert path.read_bytes() == first
        arrive(fake, COUNT)
        await eventually(lambda: path.read_bytes() != first)
        await eventually(lambda: seen.previews_[-1] == (COUNT, COUNT, True))
        fake.fetch.arrive(*range(1, COUNT + 1))
    assert sheet.shown == COUNT
    assert sorted(number for number, _, _ in fake.fetch.shown) == list(range(1, COUNT + 1))
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


async def test_what_is_here_already_is_drawn_once(
    fake: FakePeer, client: PeerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.fetch.missing.clear()
    drawn: list[int] = []
    write = PreviewSheet._write

    async def counted(sheet: PreviewSheet) -> None:
        drawn.append(sheet.shown)
        await write(sheet)

    monkeypatch.setattr(PreviewSheet, "_write", counted)
    seen = Seen()
    await PreviewSheet(tmp_path / "sheet.png", seen).follow(client, str(STUDY))
    assert drawn == [COUNT]
    assert seen.previews_[-1] == (COUNT, COUNT, True)


async def test_a_study_that_cannot_be_shown_has_dashes(
    fake: FakePeer, client: PeerClient, tmp_path: Path
) -> None:
    fake.fetch.frames = 0
    del fake.fetch.known
    fake.fetch.missing.clear()
    sheet = PreviewSheet(tmp_path / "sheet.png", Seen())
    await sheet.follow(client, str(STUDY))
    assert sheet.json()["shown"] == 0
    assert (tmp_path / "sheet.png").exists()
    assert not fake.fetch.shown


@pytest.mark.parametrize("error", [NotFoundError, CodingError, CorruptStoreError, WorkerError])
async def test_a_frame_that_cannot_be_shown_is_a_dash(
    fake: FakePeer, client: PeerClient, tmp_path: Path, error: type[P2PacsError]
) -> None:
    fake.fetch.missing.clear()
    fake.fetch.unshown[5] = error("it does not decode")
    sheet = PreviewSheet(tmp_path / "sheet.png", Seen())
    await sheet.follow(client, str(STUDY))
    assert sheet.shown == COUNT - 1
    assert (tmp_path / "sheet.png").exists()


async def test_it_goes_on_with_a_peer_that_was_started_again(
    fake: FakePeer,
    peer: Served,  # noqa: F811
    tmp_path: Path,
) -> None:
    sheet = PreviewSheet(tmp_path / "sheet.png", Seen())
    arrive(fake, *EARLY)
    async with PeerClient.connect(peer.folder) as client, trio.open_nursery() as nursery:
        nursery.start_soon(sheet.follow, client, str(STUDY))
        await eventually(lambda: sheet.shown == len(EARLY))
        nursery.cancel_scope.cancel()
    fake.fetch.missing.clear()
    async with PeerClient.connect(peer.folder) as client:
        await sheet.follow(client, str(STUDY))
    assert sheet.shown == COUNT
    assert len(fake.fetch.shown) == COUNT  # nothing was asked for twice


@pytest.mark.parametrize(("number", "kind"), [(28, DiskFullError), (13, LocalError)])
async def test_a_sheet_that_cannot_be_written(  # noqa: PLR0917 (fixtures)
    fake: FakePeer,
    client: PeerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
) -> None:
    def refused(_path: Path, _target: Path) -> Path:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "replace", refused)
    arrive(fake, *EARLY)
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(PreviewSheet(tmp_path / "s.png", Seen()).follow, client, str(STUDY))
    assert isinstance(first_of(caught.value), kind)


async def test_an_error_of_the_peer(fake: FakePeer, client: PeerClient, tmp_path: Path) -> None:
    fake.fetch.error = NoSourceError("no member has the rest")
    with pytest.raises(ExceptionGroup) as caught:
        await PreviewSheet(tmp_path / "s.png", Seen()).follow(client, str(STUDY))
    assert isinstance(first_of(caught.value), NoSourceError)
