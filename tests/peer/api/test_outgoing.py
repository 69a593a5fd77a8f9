"""Files that are sent by the local interface, into a real spool."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.ids import StudyId
from p2pacs.limits import OUTGOING_TOGETHER
from peer.api.api import make_api
from peer.api.openapi import describe
from peer.ingest.incoming_files import IncomingFiles
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.described import mistakes
from tests.peer.commands.send.test_run import Addressed
from tests.peer.fake_peer import FakePeer
from tests.peer.fake_sending import FakeSending

UID = "1.2.826.7"
DESCRIPTION = describe()


def member() -> None:
    """It is one."""


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path, reserve=0)
    yield opened
    opened.close()


@pytest.fixture
async def http(spool: Spool) -> AsyncIterator[httpx.AsyncClient]:
    fake = FakePeer(
        incoming=IncomingFiles(spool, "HOSPITAL", member),
        sent=FakeSending(spool).desk,
        addresses=Addressed(),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_api(fake, "secret")),
        base_url="http://127.0.0.1:8711",
        headers={"Authorization": "Bearer secret"},
    ) as client:
        yield client


def said(answer: httpx.Response, path: str) -> dict[str, Any]:
    """What is answered, which is as the description says."""
    assert answer.status_code == 200, answer.text
    operation = DESCRIPTION["paths"][path]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    told: dict[str, Any] = answer.json()
    assert list(mistakes(DESCRIPTION, schema, told)) == []
    return told


def key(one: EncodedInstance) -> dict[str, str]:
    return {
        "sop_instance_uid": one.sop_instance_uid,
        "transfer_syntax_uid": one.transfer_syntax_uid,
        "sha256": hashlib.sha256(one.data).hexdigest(),
    }


async def take(http: httpx.AsyncClient, one: EncodedInstance) -> str:
    path = "/outgoing/instances"
    outcome: str = said(await http.post(path, content=one.part10()), path)["outcome"]
    return outcome


async def test_a_file_is_taken_and_known_from_then_on(
    http: httpx.AsyncClient, spool: Spool
) -> None:
    one, other, absent = make(UID), make(UID, name="Other^Name"), make(UID, 1, 2)
    assert [await take(http, one) for one in (one, one, other, other)] == [
        "kept",
        "known",
        "beside",
        "beside",
    ]
    assert [spool.read(held) for held in spool.index.list_instances(UID)] == [one]
    asked = {"instances": [key(one), key(other), key(absent)]}
    told = said(await http.post("/outgoing/known", json=asked), "/outgoing/known")
    assert told["instances"] == [
        {"study_instance_uid": UID, "outcome": "known"},
        {"study_instance_uid": UID, "outcome": "beside"},
        None,
    ]


async def test_a_file_may_be_longer_than_a_form(http: httpx.AsyncClient, spool: Spool) -> None:
    large = make(UID, size=512)
    assert await take(http, large) == "kept"
    assert spool.index.list_instances(UID)[0].size == len(large.data)


async def test_how_far_studies_are(http: httpx.AsyncClient, spool: Spool) -> None:
    async def state() -> str:
        asked = {"study_instance_uids": [UID, "1.2.3"]}
        told = said(await http.post("/outgoing/studies", json=asked), "/outgoing/studies")
        (one,) = told["studies"]
        assert one["instances"] == 1
        return str(one["state"])

    await take(http, make(UID))
    states = [await state()]
    for step in (
        lambda: spool.index.admitted(UID, StudyId(bytes(16))),
        lambda: spool.index.version_out(UID, 1),
        lambda: spool.index.all_out(UID, 1),
        lambda: spool.safe(UID, 1),
        lambda: spool.index.refuse(UID, "it is the PACS's"),
    ):
        step()
        states.append(await state())
    assert states == ["publishing", "publishing", "publishing", "published", "stored", "refused"]


async def test_what_is_no_instance(http: httpx.AsyncClient, spool: Spool) -> None:
    for content in (b"", b"nothing", make(UID).part10()[:200]):
        answer = await http.post("/outgoing/instances", content=content)
        assert answer.status_code == 502
        assert answer.json()["error"] == "BrokenInstanceError"
    assert not spool.index.list_studies()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("known", {}),
        ("known", {"instances": [1]}),
        ("known", {"instances": [{"sop_instance_uid": "1"}]}),
        ("known", {"instances": [{**key(make(UID)), "sha256": "x"}]}),
        ("studies", {"study_instance_uids": "1.2"}),
        ("studies", {"study_instance_uids": [1]}),
        ("address", {"study_instance_uids": [], "to": "Capital"}),
        ("address", {"study_instance_uids": [], "to": [], "priority": "at once"}),
        ("studies", {"study_instance_uids": ["1.2"] * (OUTGOING_TOGETHER + 1)}),
    ],
)
async def test_questions_that_are_none(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    assert (await http.post(f"/outgoing/{path}", json=body)).status_code == 400
