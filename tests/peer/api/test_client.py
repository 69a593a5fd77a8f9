import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio
from attrs import frozen

from p2pacs.errors import (
    AuthenticationError,
    ForbiddenError,
    LocalError,
    StateError,
    StudyNotFoundError,
    report,
)
from p2pacs.process.health import Health
from p2pacs.web.serving import serve_web
from peer.api.api import make_api, make_token
from peer.api.client import PeerClient, error_of, not_running
from peer.commands.doctor import seen_by_broker
from peer.config import API_ACCESS, PeerSettings, save_peer_settings
from tests.components import free_port
from tests.peer.fake_peer import FakePeer

UID = "1.2.840.99"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    save_peer_settings(tmp_path, PeerSettings.model_validate(settings))
    return tmp_path


@pytest.fixture
async def fake(folder: Path, nursery: trio.Nursery) -> AsyncIterator[FakePeer]:
    fake = FakePeer()
    settings = PeerSettings.model_validate(
        {"name": "a", "listen": ["127.0.0.1:1"], "api": f"127.0.0.1:{free_port()}"}
    )
    save_peer_settings(folder, settings)
    app = make_api(fake, make_token(folder))

    async def serve(*, task_status: trio.TaskStatus[object]) -> None:
        await serve_web(app, settings.api, stop=trio.Event(), task_status=task_status)

    await nursery.start(serve)
    yield fake
    nursery.cancel_scope.cancel()


async def test_a_token_that_is_damaged(folder: Path) -> None:
    (folder / API_ACCESS).write_bytes(bytes(range(256)))
    with pytest.raises(StateError, match="start the peer anew"):
        async with PeerClient.connect(folder):
            pass


async def test_a_peer_that_does_not_run(folder: Path) -> None:
    make_token(folder)
    with pytest.raises(StateError, match=f"p2pacs peer run {folder}"):
        async with PeerClient.connect(folder) as peer:
            await peer.status()


async def test_a_peer_that_never_ran(folder: Path) -> None:
    with pytest.raises(StateError, match="p2pacs peer run"):
        async with PeerClient.connect(folder):
            pass


async def test_no_peer_at_all(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="p2pacs peer join"):
        async with PeerClient.connect(tmp_path):
            pass


async def test_status_and_find(fake: FakePeer, folder: Path) -> None:
    async with PeerClient.connect(folder) as peer:
        assert (await peer.status())["name"] == "a"
        assert await peer.find({"patient_id": "P*"}) == [{"patient_id": "P1"}]
    assert fake.asked == [{"PatientID": "P*"}]


async def test_errors_come_as_what_they_are(fake: FakePeer, folder: Path) -> None:
    fake.error = ForbiddenError("the access rule does not allow this study")
    async with PeerClient.connect(folder) as peer:
        with pytest.raises(ForbiddenError, match="access rule"):
            await peer.fetch(UID)
        with pytest.raises(StudyNotFoundError):
            await peer.instance("00" * 16, 1)


async def test_another_token_is_refused(fake: FakePeer, folder: Path) -> None:
    make_token(folder)
    async with PeerClient.connect(folder) as peer:
        with pytest.raises(AuthenticationError, match=r"api\.token"):
            await peer.status()
    assert not fake.asked


async def test_an_answer_that_is_not_ours(folder: Path) -> None:
    make_token(folder)

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>a proxy</html>")

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        with pytest.raises(LocalError, match="502"):
            await PeerClient(http, folder).status()


def test_unknown_errors_stay_errors() -> None:
    assert isinstance(error_of({"error": "FromTheFuture", "message": "m"}), LocalError)
    assert isinstance(error_of(dict(report(StudyNotFoundError("m")))), StudyNotFoundError)


@pytest.mark.skipif(sys.platform == "win32", reason="has no statvfs")
def test_a_folder_on_a_read_only_disk_is_not_advised_to_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "start it with" in str(not_running(tmp_path))
    found = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: _ReadOnly(found.f_flag | os.ST_RDONLY))
    assert "mounted read-only" in str(not_running(tmp_path))


@frozen
class _ReadOnly:
    f_flag: int


async def test_how_the_broker_sees_the_peer(folder: Path, fake: FakePeer) -> None:
    clock, dialled = await seen_by_broker(folder)
    assert (clock.state, clock.what) == (Health.BAD, "It is 90 s behind.")
    assert dialled.state is Health.LOOK
    assert "did not reach it at north.example:4711, but at 10.0.0.1:4711" in dialled.what
