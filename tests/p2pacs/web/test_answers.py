import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from p2pacs.errors import BusyError, NotFoundError
from p2pacs.web.answers import answer_to, error_handlers, json_answer

ERRORS: dict[str, Exception] = {
    "missing": NotFoundError("no such member; see p2pacs broker members"),
    "group": ExceptionGroup("nursery", [BusyError("later")]),
    "http": HTTPException(405, headers={"Allow": "GET"}),
    "bug": KeyError("DOE^JANE"),
    "bugs": ExceptionGroup("nursery", [KeyError("DOE^JANE")]),
}


async def _fail(request: Request) -> Response:
    raise ERRORS[request.path_params["kind"]]


@pytest.mark.parametrize(
    ("kind", "status", "name", "text"),
    [
        ("missing", 404, "NotFoundError", "no such member"),
        ("group", 503, "BusyError", "later"),
        ("http", 405, "HTTPError", "Method Not Allowed"),
        ("bug", 500, "InternalError", "The log"),
        ("bugs", 500, "InternalError", "The log"),
    ],
)
async def test_errors_as_json(kind: str, status: int, name: str, text: str) -> None:
    app = Starlette(
        routes=[Route("/{kind}", _fail)], exception_handlers=error_handlers(json_answer)
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(f"/{kind}")
    assert answer.status_code == status
    assert answer.json()["error"] == name
    assert text in answer.json()["message"]
    assert "DOE" not in answer.text
    assert answer.headers.get("allow") == ("GET" if kind == "http" else None)


def test_an_unforeseen_error_tells_nothing() -> None:
    assert "DOE" not in answer_to(ValueError("DOE")).text


async def test_failures_at_made_up_paths_are_one_line() -> None:
    async def fail(_request: Request) -> Response:
        raise KeyError("DOE^JANE")

    app = Starlette(
        routes=[Route("/{any:path}", fail)], exception_handlers=error_handlers(json_answer)
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for number in range(300):
                assert (await client.get(f"/{number}" + "x" * 1000)).status_code == 500
    (line,) = logs
    assert len(line["path"]) == 100


async def test_a_failure_is_logged_without_the_uids_of_its_path() -> None:
    async def fail(_request: Request) -> Response:
        raise KeyError("DOE^JANE")

    app = Starlette(
        routes=[Route("/{any:path}", fail)], exception_handlers=error_handlers(json_answer)
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/studies/1.2.840.4711/series/2.25.99/instances")
    (line,) = logs
    assert line["path"] == "/studies/UID/series/UID/instances"
    assert "4711" not in str(logs)
