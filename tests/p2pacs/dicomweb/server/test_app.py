"""What stands before the services; they themselves are tried in tests/peer/gateway/web."""

import httpx
import pytest

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.backend import Resource, SearchPage
from p2pacs.dicomweb.server.query import SearchQuery
from p2pacs.errors import BusyError, UsageError


class Backend:
    def __init__(self) -> None:
        self.callers: list[str] = []

    async def search(self, query: SearchQuery, caller: str) -> SearchPage:
        self.callers.append(caller)
        if query.limit == 13:
            raise BusyError("too many")
        return SearchPage([])


def client(backend: Backend, address: str = "10.0.0.7") -> httpx.AsyncClient:
    app = make_dicomweb(backend, allowed=lambda client: client == "10.0.0.7")
    transport = httpx.ASGITransport(app, client=(address, 5))
    return httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1/dicom-web")


async def test_only_those_who_may_ask() -> None:
    backend = Backend()
    async with client(backend) as http:
        assert (await http.get("/studies")).json() == []
    async with client(backend, "10.0.0.8") as http:
        answer = await http.get("/studies")
        assert answer.status_code == 403
        assert "dicomweb_clients" in answer.json()["message"]
    assert backend.callers == ["DICOMweb 10.0.0.7"]


async def test_head_says_what_get_would() -> None:
    async with client(Backend()) as http:
        answer = await http.head("/studies")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/dicom+json"


async def test_errors_are_objects_that_say_what_to_do() -> None:
    async with client(Backend()) as http:
        answer = await http.get("/studies?limit=13")
        assert answer.status_code == BusyError.http_status
        assert answer.json() == {"error": "BusyError", "message": "too many", "transient": True}


async def test_long_bodies_are_not_read() -> None:
    async with client(Backend()) as http:
        assert (await http.post("/studies", content=b"x" * 10**6)).status_code in (403, 413)


def test_resources() -> None:
    assert Resource.of("1.2", "1.3", "1.4").path == "/studies/1.2/series/1.3/instances/1.4"
    assert Resource.of("1.2").path == "/studies/1.2"
    with pytest.raises(UsageError):
        Resource.of("1.2", "<script>")
