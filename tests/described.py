"""What an OpenAPI description says is asked of the application that it describes (schemathesis)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import httpx
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.routing import Route

BASE = "http://127.0.0.1"
EXAMPLES = 6
SECONDS = 60
"""For one answer, however slow the machine is: a stream that does not end is a mistake."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SENT = {"method", "url", "headers", "params", "json", "data", "content"}


@schemathesis.serializer("multipart/related", "application/dicom")
def _as_bytes(_context: object, value: object) -> bytes:
    """Bodies that are no forms: whatever schemathesis makes up for a text."""
    return str(value).encode("utf-8", "surrogatepass")


Operation = Any
"""One of schemathesis."""


def operations_of(description: dict[str, Any]) -> dict[str, Operation]:
    """``METHOD path`` → operation."""
    schema = schemathesis.openapi.from_dict(description)
    found = [one.ok() for one in schema.get_all_operations()]
    return {f"{one.method.upper()} {one.path}": one for one in found}


def described(description: dict[str, Any]) -> set[tuple[str, str]]:
    """(path, method)"""
    paths: dict[str, Any] = description["paths"]
    return {(path, method.upper()) for path, methods in paths.items() for method in methods}


def routes_of(app: Starlette) -> set[tuple[str, str]]:
    """(path, method)"""
    return {
        (route.path.replace("{path:path}", "{path}"), method)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or ()) - {"HEAD"}
    }


def check_kept(
    operation: Operation,
    app: Callable[[], Starlette],
    *,
    root: str = "",
    there: Mapping[str, object],
    headers: Mapping[str, str] | None = None,
    examples: int = EXAMPLES,
) -> None:
    """Ask as the description says, and otherwise: what comes back is as it says.

    Args:
        operation: what to ask for.
        app: makes the application, anew for each request.
        root: where the description's paths begin.
        there: parameters of the path by which something is there: half of the requests have them.
        headers: that every request has.
        examples: requests.
    """

    async def ask(case: schemathesis.Case) -> httpx.Response:
        said = case.as_transport_kwargs(base_url=BASE + root)
        sent = {key: value for key, value in said.items() if key in SENT}
        sent["headers"] = {**sent.get("headers", {}), **(headers or {})}
        with trio.fail_after(SECONDS):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app())) as http:
                return await http.request(**sent)

    modes = [GenerationMode.POSITIVE]
    if list(operation.iter_parameters()) or operation.body:  # else nothing can be wrong
        modes.append(GenerationMode.NEGATIVE)

    @settings(
        derandomize=True,
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]), st.booleans()
    )
    def check(case: schemathesis.Case, is_there: bool) -> None:
        for name in there.keys() & case.path_parameters.keys() if is_there else ():
            case.path_parameters[name] = there[name]
        case.validate_response(trio.run(partial(ask, case)), checks=CHECKS)

    check()


def mistakes(description: dict[str, Any], schema: dict[str, Any], said: object) -> Iterator[str]:
    """Where something is not as a schema of a description has it."""
    whole = {**schema, "components": description["components"]}
    for error in Draft202012Validator(whole).iter_errors(said):
        yield f"{list(error.instance_path)}: {error.message}"
