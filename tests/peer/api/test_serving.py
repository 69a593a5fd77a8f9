"""The local interface on its port; what it answers is in `test_api`."""

from pathlib import Path

import httpx
import trio

from p2pacs.units import Endpoint
from peer.api.serving import run_api
from peer.config import API_ACCESS
from tests.peer.fake_peer import FakePeer


async def test_it_answers_whoever_can_read_the_token(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery, httpx.AsyncClient(timeout=40.0) as http:
        where = await nursery.start(run_api, FakePeer(), tmp_path, Endpoint("127.0.0.1", 0))
        token = (tmp_path / API_ACCESS).read_text().strip()
        for given, status in ((token, 200), ("another", 401)):
            headers = {"Authorization": f"Bearer {given}"}
            answer = await http.get(f"http://{where}/status", headers=headers)
            assert answer.status_code == status
        nursery.cancel_scope.cancel()
