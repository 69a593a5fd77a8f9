"""The description of the services: it is theirs, and they do as it says, whatever is asked."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.openapi import describe
from p2pacs.dicomweb.server.requests import ROOT
from tests.p2pacs.dicomweb.server.catalogue import INSTANCES, SERIES, STUDY, OneStudy

BASE = "http://127.0.0.1"
EXAMPLES = 6
THERE = {"study": STUDY, "series": SERIES, "instance": INSTANCES[0].sop_instance_uid}
SCHEMA = schemathesis.openapi.from_dict(describe())
OPERATIONS = {
    f"{operation.ok().method} {operation.ok().path}": operation.ok()
    for operation in SCHEMA.get_all_operations()
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def app() -> httpx.ASGITransport:
    return httpx.ASGITransport(make_dicomweb(OneStudy(), allowed=lambda _: True))


async def ask(case: schemathesis.Case) -> httpx.Response:
    said = case.as_transport_kwargs(base_url=BASE + ROOT)
    sent = {"method", "url", "headers", "params", "json", "data", "content"}
    async with httpx.AsyncClient(transport=app()) as http:
        return await http.request(**{key: value for key, value in said.items() if key in sent})


def test_every_route_is_described_and_no_other() -> None:
    there = {
        (route.path.replace("{path:path}", "{path}"), method)
        for route in make_dicomweb(OneStudy(), allowed=lambda _: True).routes
        if isinstance(route, Route)
        for method in (route.methods or ()) - {"HEAD"}
    }
    described = {
        (ROOT + path, method.upper())
        for path, operations in describe()["paths"].items()
        for method in operations
    }
    assert described == there


async def test_it_is_served() -> None:
    async with httpx.AsyncClient(transport=app(), base_url=BASE) as http:
        assert (await http.get(ROOT + "/openapi.json")).json() == describe()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_kept_whatever_is_asked(operation: str) -> None:
    said = OPERATIONS[operation]
    modes = [GenerationMode.POSITIVE]
    if list(said.iter_parameters()):  # else nothing can be wrong
        modes.append(GenerationMode.NEGATIVE)
    cases = st.one_of([said.as_strategy(generation_mode=mode) for mode in modes])

    @settings(
        derandomize=True,
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.booleans())
    def check(case: schemathesis.Case, there: bool) -> None:
        for name in THERE.keys() & case.path_parameters.keys() if there else ():
            case.path_parameters[name] = THERE[name]
        case.validate_response(trio.run(partial(ask, case)), checks=CHECKS)

    check()
