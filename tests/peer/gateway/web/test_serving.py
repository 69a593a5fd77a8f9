"""Where the services run; what they answer is in `test_dicomweb`."""

import httpx
import trio

from p2pacs.dicomweb.server.backend import SearchPage
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.units import Endpoint
from peer.gateway.web.clients import WebClients
from peer.gateway.web.serving import run_dicomweb


class Backend:
    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        assert query.level == "STUDY"
        assert caller == "DICOMweb 127.0.0.1"
        return SearchPage([])


async def test_it_runs_on_a_port_of_its_own() -> None:
    async def run(*, task_status: trio.TaskStatus[Endpoint]) -> None:
        clients = WebClients([], [])
        await run_dicomweb(
            Backend(), Endpoint("127.0.0.1", 0), clients, ["pacs.example"], task_status=task_status
        )

    async with trio.open_nursery() as nursery, httpx.AsyncClient(timeout=40.0) as http:
        where = await nursery.start(run)
        assert where.port
        for host in ("localhost", "pacs.example"):
            answer = await http.get(f"http://{where}/dicom-web/studies", headers={"Host": host})
            assert answer.json() == []
        nursery.cancel_scope.cancel()
