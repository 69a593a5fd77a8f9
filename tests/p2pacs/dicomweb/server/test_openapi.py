"""The description of the services: it is theirs, and they do as it says, whatever is asked."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.openapi import describe
from p2pacs.dicomweb.server.requests import ROOT
from tests.described import BASE, check_kept, described, operations_of, routes_of
from tests.p2pacs.dicomweb.server.catalogue import INSTANCES, SERIES, STUDY, OneStudy

THERE = {"study": STUDY, "series": SERIES, "instance": INSTANCES[0].sop_instance_uid}
OPERATIONS = operations_of(describe())


def app() -> Starlette:
    return make_dicomweb(OneStudy(), allowed=lambda _: True)


def test_every_route_is_described_and_no_other() -> None:
    assert {(ROOT + path, method) for path, method in described(describe())} == routes_of(app())


async def test_it_is_served() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url=BASE) as http:
        assert (await http.get(ROOT + "/openapi.json")).json() == describe()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_kept_whatever_is_asked(operation: str) -> None:
    check_kept(OPERATIONS[operation], app, root=ROOT, there=THERE)
