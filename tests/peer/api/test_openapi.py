"""The description of the local interface: it is its own, and what is said is as it says."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from p2pacs.output.json_object import JsonObject
from peer.api.api import make_api
from peer.api.openapi import NDJSON, describe
from tests.conformance.instances import make
from tests.described import BASE, check_kept, described, mistakes, operations_of, routes_of
from tests.p2pacs.study.samples import instance
from tests.peer.fake_peer import STUDY, FakeFetch, FakePeer
from tests.peer.fake_sending import arrived
from tests.peer.world import instances, open_world
from tests.waiting import eventually

HEADERS = {"Authorization": "Bearer secret"}
DESCRIPTION = describe()
OPERATIONS = operations_of(DESCRIPTION)
THERE = {"study": str(STUDY), "number": 2}


class EndingPeer(FakePeer):
    """A study was fetched, and streams end; it says as much of itself as a peer does."""

    async def status(self) -> JsonObject:
        return {
            "name": "a",
            "version": "1",
            "address": "0" * 32,
            "role": "hospital",
            "certificate_expires": "2030-01-01T00:00:00+00:00",
            "broker": {"linked": False, "refused": None},
            "gateway": {"aet": "A", "dicom": None, "dicom_tls": None},
            "reached": {"how": "h", "help": None, "apart": {"b": "why"}},
            "links": [],
            "store": {"used": 0, "capacity": 0, "studies": 0},
            "catalogue": {"studies": 1, "age": None},
            "audit_waiting": 0,
            "sending": None,
            **await self.transfers(),
        }

    async def events(self) -> AsyncGenerator[JsonObject, None]:
        yield await self.transfers()


def app() -> Starlette:
    peer = EndingPeer(FakeFetch([instance(n, rows=8, columns=8) for n in (1, 2)], frames=1))
    peer.opened.append("1.2.3")
    peer.found = []
    return make_api(peer, "secret")


def test_every_route_is_described_and_no_other() -> None:
    assert described(DESCRIPTION) == routes_of(app())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_kept_whatever_is_asked(operation: str) -> None:
    check_kept(OPERATIONS[operation], app, there=THERE, headers=HEADERS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nothing_is_answered_without_the_token(operation: str) -> None:
    method, path = operation.split(" ")
    url = path.format(**THERE)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url=BASE) as http:
        for given in ({}, {"Authorization": "Bearer other"}):
            answer = await http.request(method, url, headers=given, content=b"{}")
            assert answer.status_code == 401
            assert set(answer.json()) == {"error", "message", "transient"}


def _as_described(operation: str, answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    method, path = operation.split(" ")
    content = DESCRIPTION["paths"][path][method.lower()]["responses"]["200"]["content"]
    kind = answer.headers["content-type"]
    said: list[Any] = (
        [answer.json()] if kind != NDJSON else list(map(json.loads, answer.iter_lines()))
    )
    schema = content[kind]["schema" if kind != NDJSON else "x-line"]
    assert said
    assert [wrong for one in said for wrong in mistakes(DESCRIPTION, schema, one)] == []


async def test_a_real_peer_says_what_is_described(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        peer = await world.add("north", sending={"enabled": True})
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        transport = httpx.ASGITransport(make_api(peer.overview, "secret"))
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=HEADERS) as http:
            assert peer.outbound is not None
            number = arrived(peer.outbound.spool, [make("1.2.7")])
            _as_described("GET /outgoing/studies", await http.get("/outgoing/studies"))
            for what in ("cancel", "retry"):
                changed = await http.post(f"/outgoing/studies/{number}/{what}")
                _as_described(f"POST /outgoing/studies/{{number}}/{what}", changed)
            _as_described("GET /status", await http.get("/status"))
            found = await http.post("/find", json={"patient_id": "P1"})
            _as_described("POST /find", found)
            (one,) = found.json()["studies"]
            fetch = {"study_instance_uid": one["study_instance_uid"], "priority": "stat"}
            fetched = await http.post("/studies/fetch", json=fetch)
            _as_described("POST /studies/fetch", fetched)
            study = fetched.json()["study"]
            for lines in ("instances", "levels"):
                path = "/studies/{study}/" + lines
                _as_described(f"GET {path}", await http.get(path.format(study=study)))
            _as_described("GET /transfers", await http.get("/transfers"))
            view = await http.post(f"/transfers/{study}/view", json={"series": 1})
            _as_described("POST /transfers/{study}/view", view)
            _as_described("GET /status", await http.get("/status"))
