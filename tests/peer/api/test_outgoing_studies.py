from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from p2pacs.output.json_object import JsonObject
from peer.api.api import make_api
from peer.api.outgoing_studies import sending_json
from tests.conformance.instances import make
from tests.peer.fake_peer import FakePeer
from tests.peer.fake_sending import FakeSending, arrived, sending, stored
from tests.peer.ingest.test_outgoing_state import NOW, told


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSending]:
    with sending(tmp_path / "spool") as made:
        yield made


@pytest.fixture
async def http(made: FakeSending) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_api(FakePeer(sent=made.desk), "secret"))
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8711", headers=headers
    ) as client:
        yield client


async def _studies(http: httpx.AsyncClient) -> list[JsonObject]:
    found: list[JsonObject] = (await http.get("/outgoing/studies")).json()["studies"]
    return found


async def test_all_that_is_sent(http: httpx.AsyncClient, made: FakeSending) -> None:
    arrived(made.spool, [make("1.2.1", 1, number) for number in (1, 2)])
    stored(made.spool, "1.2.1")
    arrived(made.spool, [make("1.2.2")], "MR1")
    made.linked = False
    newer, older = await _studies(http)
    assert (newer["state"], newer["callers"], newer["study"]) == ("waiting", ["MR1"], None)
    assert (newer["patient_name"], newer["study_date"]) == ("Müller^Jörg", "20240131")
    assert (older["state"], older["instances"], older["spooled"]) == ("stored", 2, 0)
    assert older["copies"] == ["broker", "pacs"]
    assert older["study_instance_uid"] == "1.2.1"


async def test_what_is_done_about_one(http: httpx.AsyncClient, made: FakeSending) -> None:
    number = arrived(made.spool, [make("1.2.1")])
    cancelled = await http.post(f"/outgoing/studies/{number}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert made.outgoing.stopped == ["1.2.1"]
    again = await http.post(f"/outgoing/studies/{number}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "StateError")
    assert (await http.post(f"/outgoing/studies/{number}/retry")).json()["state"] == "publishing"
    await http.post(f"/outgoing/studies/{number}/cancel")
    assert (await http.post(f"/outgoing/studies/{number}/remove")).json() == {}
    assert await _studies(http) == []
    assert (await http.post(f"/outgoing/studies/{number}/retry")).status_code == 404
    assert {actor for actor, _what, _which in made.notes} == {"command line"}


async def test_where_nothing_is_sent() -> None:
    transport = httpx.ASGITransport(make_api(FakePeer(), "secret"))
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8711", headers=headers
    ) as http:
        assert await _studies(http) == []
        answer = await http.post("/outgoing/studies/1/cancel")
        assert answer.status_code == 404
        assert "sending.enabled" in answer.json()["message"]


def test_all_in_a_few_figures() -> None:
    studies = [told(), told(refused="no"), told(cancelled="rita"), told(safe=10, spooled=0)]
    assert sending_json(studies, NOW / 1000) == {
        "under_way": 1,
        "failing": 0,
        "refused": 1,
        "cancelled": 1,
        "stored": 1,
        "spooled": 3000,
        "oldest": 120,
    }
    assert sending_json([], 0.0)["oldest"] is None
