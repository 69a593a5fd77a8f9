from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from p2pacs.limits import RECIPIENTS
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import SentNoted
from peer.api.api import make_api
from peer.api.openapi import describe
from peer.ingest.recipient_rules import Recipients
from tests.described import mistakes
from tests.peer.fake_peer import FakePeer
from tests.peer.ingest.bench import REPLICA, SOUTH, Outgoing, outgoing

UID = "1.2.3"
DESCRIPTION = describe()


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Outgoing]:
    async with outgoing(tmp_path) as opened:
        yield opened


@pytest.fixture
async def http(made: Outgoing) -> AsyncIterator[httpx.AsyncClient]:
    fake = FakePeer(addressing=made.addressing)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_api(fake, "secret")),
        base_url="http://127.0.0.1:8711",
        headers={"Authorization": "Bearer secret"},
    ) as client:
        yield client


async def asked(http: httpx.AsyncClient, path: str, **body: object) -> dict[str, Any]:
    """What is answered, which is as the description says."""
    answer = await http.post(path, json={"study_instance_uids": [UID], **body})
    assert answer.status_code == 200, answer.text
    operation = DESCRIPTION["paths"][path]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    told: dict[str, Any] = answer.json()
    assert list(mistakes(DESCRIPTION, schema, told)) == []
    return told


async def test_a_study_is_addressed_and_how_far_each_is_told(
    http: httpx.AsyncClient, made: Outgoing
) -> None:
    before = {"recipients": [], "priority": "interactive", "by_rule": True, "unknown": []}
    empty = {"study_instance_uid": UID, **before, "copies": []}
    assert await asked(http, "/outgoing/recipients") == {"studies": [empty]}
    named = ["South", "East"]
    assert await asked(http, "/outgoing/address", recipients=named, priority="stat") == {}
    found = await made.addressing.of(UID)
    assert found.recipients == Recipients(("South", "East"), Priority.STAT)
    noted = SentNoted(7, 1, 0, [SOUTH.address.raw, REPLICA.address.raw], [0, 1], [250, 1000])
    await made.addressing.noted(UID, noted)
    (study,) = (await asked(http, "/outgoing/recipients"))["studies"]
    assert study["priority"] == "stat"
    copies = [
        (one["name"], one["recipient"], one["version"], one["thousandths"])
        for one in study["copies"]
    ]
    assert copies == [("South", True, 0, 250), ("East", True, 0, 0), ("R1", False, 1, 1000)]


async def test_names_can_be_checked_before_anything_is_sent(http: httpx.AsyncClient) -> None:
    nothing = {"study_instance_uids": []}
    answer = await http.post("/outgoing/address", json={**nothing, "recipients": ["South"]})
    assert answer.status_code == 200
    answer = await http.post("/outgoing/address", json={**nothing, "recipients": ["Nobody"]})
    assert answer.status_code == 404
    assert "is called Nobody" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipients": "South"},
        {"recipients": [1]},
        {"recipients": ["South"] * (RECIPIENTS + 1)},
        {"recipients": ["South"], "priority": "soon"},
        {"recipients": ["South"], "study_instance_uids": UID},
    ],
)
async def test_questions_that_are_none(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await http.post("/outgoing/address", json={"study_instance_uids": [UID], **body})
    assert answer.status_code == 400


async def test_a_peer_that_sends_nothing_says_so() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_api(FakePeer(), "secret")),
        base_url="http://127.0.0.1:8711",
        headers={"Authorization": "Bearer secret"},
    ) as client:
        answer = await client.post("/outgoing/recipients", json={"study_instance_uids": []})
        assert answer.status_code == 409
