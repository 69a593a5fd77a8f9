"""The endpoint that Prometheus asks: ``GET /metrics``, where the settings switch it on."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import evolve
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from p2pacs.errors import AuthenticationError, StateError, UnavailableError
from p2pacs.metrics.definitions import MetricDefinition
from p2pacs.metrics.loop_lag import LoopLag
from p2pacs.metrics.readings import Scrape
from p2pacs.settings import MetricsSettings
from p2pacs.units import Endpoint
from p2pacs.web.answers import error_handlers, json_answer
from p2pacs.web.guard import API_POLICY, BodyLimit, KnownHosts, SecurityHeaders
from p2pacs.web.serving import serve_web

SECONDS: Final = 10.0
"""For a scrape: what Prometheus waits by default."""

TOKEN_CHARACTERS: Final = 16
"""A bearer token has at least so many: it is sent over a network."""

Gather = Callable[[], Awaitable[Scrape]]

log = structlog.get_logger(__name__)


def read_token(path: Path) -> str:
    """The bearer token in a file.

    Raises:
        StateError: it cannot be read, or is too short to be one.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the token of the metrics cannot be read from {path}") from error
    if len(token) < TOKEN_CHARACTERS or not token.isprintable():
        raise StateError(
            f"the token of the metrics in {path} needs at least {TOKEN_CHARACTERS} characters"
        )
    return token


class MetricsHandler:
    """Answers a scrape; two at once read one after the other."""

    def __init__(
        self, gather: Gather, metrics: Sequence[MetricDefinition], token: str | None
    ) -> None:
        """Nothing is read before it is asked.

        Args:
            gather: reads all.
            metrics: what this program tells.
            token: who asks must bring it; None: nobody must.
        """
        self._gather = gather
        self._metrics = metrics
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._lock = trio.Lock()

    async def answer(self, request: Request) -> Response:
        """The metrics as text.

        Raises:
            AuthenticationError: without the token.
            UnavailableError: it took too long.
        """
        given = request.headers.get("authorization", "").encode()
        if self._expected is not None and not hmac.compare_digest(given, self._expected):
            raise AuthenticationError("give the token of metrics.token_file as bearer token")
        from p2pacs.metrics.exposition import exposed  # noqa: PLC0415 - only where it is asked for

        try:
            with trio.fail_after(SECONDS):
                async with self._lock:
                    scrape = await self._gather()
                write = partial(exposed, scrape, self._metrics, request.headers.get("accept", ""))
                text, media_type = await trio.to_thread.run_sync(write)
        except trio.TooSlowError as error:
            raise UnavailableError("the metrics could not be read in time") from error
        return Response(text, headers={"Content-Type": media_type})


def make_metrics(
    gather: Gather, metrics: Sequence[MetricDefinition], token: str | None
) -> Starlette:
    """The application."""
    handler = MetricsHandler(gather, metrics, token)
    # Who must bring a token cannot be led here by a page whose name was pointed to this machine.
    hosts = [] if token else [Middleware(KnownHosts, render=json_answer)]
    return Starlette(
        routes=[Route("/metrics", handler.answer, methods=["GET"])],
        middleware=[
            Middleware(SecurityHeaders, policy=API_POLICY),
            *hosts,
            Middleware(BodyLimit),
        ],
        exception_handlers=error_handlers(json_answer),
    )


async def run_metrics(
    gather: Gather,
    metrics: Sequence[MetricDefinition],
    folder: Path,
    settings: MetricsSettings,
    *,
    task_status: trio.TaskStatus[Endpoint | None],
) -> None:
    """Serve until cancelled, where that is set; reports where, or None.

    Args:
        gather: reads all but how late the event loop is.
        metrics: what this program tells.
        folder: of the program; a file of the settings is named from there on.
        settings: where, and with which token.

    Raises:
        StateError: the endpoint cannot be listened on, or there is no token.
    """
    if settings.listen is None:
        task_status.started(None)
        return
    token = None
    if settings.token_file is not None:
        token = await trio.to_thread.run_sync(read_token, folder / settings.token_file)
    lag = LoopLag()

    async def whole() -> Scrape:
        scrape = await gather()
        return evolve(scrape, durations={**scrape.durations, "loop_lag": lag.durations})

    app = make_metrics(whole, metrics, token)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        await serve_web(app, settings.listen, stop=trio.Event(), task_status=task_status)
