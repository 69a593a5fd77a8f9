"""Errors as HTTP answers: one translation for pages and interfaces."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from p2pacs.errors import P2PacsError, first_of, report
from p2pacs.languages import N_
from p2pacs.process.sparse_log import Sparse

log = structlog.get_logger(__name__)


_PATH: Final = 100
"""Characters of a path that the log has."""

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
"""What in a path may name a patient's study: it has no place in a log."""


@frozen
class Answer:
    """What the asker is told of an error."""

    status: int
    title: str
    text: str
    body: Mapping[str, object]
    """The same as a JSON object."""


Handler = Callable[[Request, Exception], Awaitable[Response]]


def answer_to(error: Exception) -> Answer:
    """The answer to an exception; one that nobody foresaw tells nothing of itself."""
    known = first_of(error)
    if known is not None:
        return Answer(known.http_status, _title(known.http_status), str(known), report(known))
    if isinstance(error, HTTPException):
        text = error.detail
        return Answer(error.status_code, _title(error.status_code), text, _body("HTTPError", text))
    text = N_("Something went wrong here. The log of this server says more.")
    return Answer(500, _title(500), text, _body("InternalError", text))


def _body(kind: str, text: str) -> dict[str, object]:
    return {"error": kind, "message": text, "transient": False}


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def error_handlers(render: Callable[[Request, Answer], Response]) -> dict[Any, Handler]:
    """Starlette's ``exception_handlers``, answering with ``render``."""

    failures = Sparse()

    async def known(request: Request, error: Exception) -> Response:
        if isinstance(error, ExceptionGroup) and first_of(error) is None:
            raise error
        response = render(request, answer_to(error))
        if isinstance(error, HTTPException):
            response.headers.update(error.headers or {})
        return response

    async def unforeseen(request: Request, error: Exception) -> Response:
        # Of one in the middle of an answer Starlette makes another; all that is left is to close.
        cause = error.__cause__
        answer = answer_to(cause if isinstance(cause, P2PacsError) else error)
        if answer.status == 500:
            kind = type(error).__name__
            # By endpoint: a stranger makes up as many paths as it likes.
            where = request.scope.get("endpoint")
            left_out = failures.lets((where, kind), time.monotonic())
            if left_out is not None:
                path = _UID.sub("UID", request.url.path)[:_PATH]
                log.error("request failed", path=path, error=kind, left_out=left_out)
        return render(request, answer)

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # the client left in the middle of its request

    return {
        ClientDisconnect: gone,
        P2PacsError: known,
        HTTPException: known,
        ExceptionGroup: known,
        Exception: unforeseen,
    }


def json_answer(_request: Request, answer: Answer) -> Response:
    """The answer of an interface: a JSON object."""
    return JSONResponse(dict(answer.body), status_code=answer.status)
