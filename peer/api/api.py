"""The local interface: HTTP on loopback for the commands (and later the pages) of this machine.

Whoever can read ``api.token`` may use it. Study Instance UIDs and patient data
travel in bodies only, never in URLs: transfers are named by their `StudyId`.

    GET  /status                                what the peer is, links, store, catalogue
    POST /find                                  {"patient_id", "patient_name", "study_date", …,
                                                "sent": only what was sent to this hospital}
    POST /studies/fetch                         {"study_instance_uid", "priority"} →
                                                {"study", "transfer"}: as it is before this asks
    GET  /studies/{study}/instances             NDJSON: an object per instance as it becomes whole,
                                                {"waiting"} now and then, at last {"complete"}
                                                or {"error"}
    GET  /studies/{study}/instances/{number}    the instance as a DICOM file (PS3.10)
    GET  /studies/{study}/levels                NDJSON: an object per instance as it becomes known
                                                and as it can be shown finer (level 0: it is whole),
                                                {"previews"} when all can be shown; ends as above
    GET  /studies/{study}/instances/{number}/preview?frame=…&level=…
                                                a frame (from 1; else the middle one) as PNG, not
                                                for diagnosis, 2 ** level times smaller than the
                                                image, or more (X-P2PACS-Level tells)
    GET  /transfers                             {"transfers", "uploads"}: all since the start
    GET  /transfers/events                      NDJSON: the newest of them, whenever one changed
    POST /transfers/{study}/cancel              stop fetching; what is here stays
    POST /transfers/{study}/priority            {"priority"}: more, or less, urgent from now on
    POST /transfers/{study}/view                {"series" or "series_instance_uid", "instances"}:
                                                looked at now, so it comes first; {} ends it
    POST /outgoing/known                        {"instances"}: which of these files came before
    POST /outgoing/instances                    a DICOM file (PS3.10): it goes into the network, and
                                                home; answered when it is on the disk
    POST /outgoing/studies                      {"study_instance_uids"}: how far they are
    POST /outgoing/address                      {"study_instance_uids", "to", "priority"}: they go
                                                to these members (none: to whom they went), so
                                                urgently; of no study: whether they can
    GET  /outgoing/studies                      {"studies"}: all (`peer.api.outgoing_studies`)
    POST /outgoing/studies/{number}/retry       send it (again) now
    POST /outgoing/studies/{number}/cancel      send nothing more of it
    POST /outgoing/studies/{number}/remove      remove what lies here of it and was not sent
    GET  /openapi.json                          all of this as OpenAPI 3.1
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Protocol

import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import AuthenticationError, UsageError
from p2pacs.files.private_files import write_private
from p2pacs.ids import StudyId
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.answers import answer_to, error_handlers, json_answer
from p2pacs.web.guard import API_POLICY, BodyLimit, KnownHosts, SecurityHeaders
from p2pacs.web.numbers import number_of, whole_number
from peer.api import streams
from peer.api.openapi import DICOM, FIND_KEYS, LEVEL, PNG, describe
from peer.api.outgoing import Addresses, OutgoingApi, is_file
from peer.api.outgoing_studies import OutgoingStudyCalls
from peer.api.png import to_png
from peer.api.streams import NdjsonLines
from peer.config import API_ACCESS
from peer.ingest.incoming_files import IncomingFiles
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.retrieval.instances.viewport import ViewRequest
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch


class ServedPeer(Protocol):
    """What the interface asks of the peer (`peer.api.overview`)."""

    @property
    def reads(self) -> StudyReads:
        """Opens studies."""

    @property
    def sent(self) -> OutgoingDesk | None:
        """Studies that are sent from here; None: none can be."""

    async def status(self) -> JsonObject:
        """See ``GET /status``."""

    async def reach(self) -> JsonObject:
        """See ``POST /broker/reach``."""

    async def find(self, keys: dict[str, str], *, sent: bool = False) -> list[JsonObject]:
        """Studies that match these keys (DICOM keyword → value); only those that were sent here."""

    async def transfers(self) -> JsonObject:
        """See ``GET /transfers``."""

    async def transfer(self, transfer: Transfer) -> JsonObject:
        """One transfer as it is now; as in ``GET /transfers``."""

    def events(self) -> AsyncGenerator[JsonObject, None]:
        """See ``GET /transfers/events``."""

    @property
    def addresses(self) -> Addresses | None:
        """Who keeps to whom studies go; None where nothing is sent."""

    def incoming_files(self) -> IncomingFiles:
        """What takes files that are sent; raises why nothing is taken here."""


def make_token(folder: Path) -> str:
    """A new random access token in ``api.token`` (mode 0600)."""
    token = secrets.token_urlsafe(32)
    write_private(folder / API_ACCESS, token.encode() + b"\n")
    return token


class _Guard:
    """Refuses every request without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        error = AuthenticationError(f"give the token in the file {API_ACCESS} as bearer token")
        await json_answer(Request(scope), answer_to(error))(scope, receive, send)


def make_api(peer: ServedPeer, token: str) -> Starlette:
    """The ASGI application."""
    handlers, sent = _Handlers(peer), OutgoingStudyCalls(peer.sent, _body)
    study = "/studies/{study}/instances"
    return Starlette(
        routes=[
            Route("/openapi.json", _description),
            Route("/status", handlers.status),
            Route("/broker/reach", handlers.reach, methods=["POST"]),
            Route("/find", handlers.find, methods=["POST"]),
            Route("/studies/fetch", handlers.fetch, methods=["POST"]),
            Route(study, handlers.instances),
            Route(study + "/{number}", handlers.instance),
            Route(study + "/{number}/preview", handlers.preview),
            Route("/studies/{study}/levels", handlers.levels),
            Route("/transfers", handlers.transfers),
            Route("/transfers/events", handlers.events),
            Route("/transfers/{study}/cancel", handlers.cancel, methods=["POST"]),
            Route("/transfers/{study}/priority", handlers.priority, methods=["POST"]),
            Route("/transfers/{study}/view", handlers.view, methods=["POST"]),
            *OutgoingApi(peer.incoming_files, sent, peer.addresses, _body).routes,
            *sent.routes(),
        ],
        middleware=[
            Middleware(SecurityHeaders, policy=API_POLICY),
            Middleware(KnownHosts, render=json_answer),
            Middleware(_Guard, token=token),
            Middleware(BodyLimit, streamed=is_file),
        ],
        exception_handlers=error_handlers(json_answer),
    )


async def _description(_request: Request) -> Response:
    return JSONResponse(describe())


class _Handlers:
    def __init__(self, peer: ServedPeer) -> None:
        self._peer = peer

    async def status(self, _request: Request) -> Response:
        return JSONResponse(await self._peer.status())

    async def reach(self, _request: Request) -> Response:
        return JSONResponse(await self._peer.reach())

    async def find(self, request: Request) -> Response:
        body = await _body(request)
        sent = body.pop("sent", False)
        if not isinstance(sent, bool):
            raise UsageError("sent must be true or false")
        if unknown := set(body) - set(FIND_KEYS):
            raise UsageError(f"cannot search by {', '.join(sorted(unknown))}")
        keys = {FIND_KEYS[name]: _text(body, name) for name in body}
        return JSONResponse({"studies": await self._peer.find(keys, sent=sent)})

    async def fetch(self, request: Request) -> Response:
        body = await _body(request)
        requester = Requester("command", "command", _priority(body, Priority.INTERACTIVE))
        fetch = await self._peer.reads.open(_text(body, "study_instance_uid"), requester)
        transfer = await self._peer.transfer(fetch.transfer)
        return JSONResponse({"study": str(fetch.study), "transfer": transfer})

    async def instances(self, request: Request) -> Response:
        return NdjsonLines(streams.instances(self._fetch(request)))

    async def instance(self, request: Request) -> Response:
        fetch = self._fetch(request)
        known = fetch.instance(number_of(request))
        if known.entry.size > WHOLE_BYTES:
            return streams.LargeFile(fetch, known)
        with fetch.in_use():
            instance = await fetch.read(known)
            file = await trio.to_thread.run_sync(instance.part10)
        return Response(file, media_type=DICOM)

    async def levels(self, request: Request) -> Response:
        return NdjsonLines(streams.levels(self._fetch(request)))

    async def preview(self, request: Request) -> Response:
        fetch = self._fetch(request)
        frame, level = (_count(request, name) for name in ("frame", "level"))
        with fetch.in_use():
            known = fetch.instance(number_of(request))
            preview = await fetch.preview(known, frame, level)
            file = await trio.to_thread.run_sync(to_png, preview.picture)
        return Response(file, media_type=PNG, headers={LEVEL: str(preview.level)})

    async def transfers(self, _request: Request) -> Response:
        return JSONResponse(await self._peer.transfers())

    async def events(self, _request: Request) -> Response:
        return NdjsonLines(self._peer.events())

    async def cancel(self, request: Request) -> Response:
        self._fetch(request).give_up()
        return JSONResponse({})

    async def priority(self, request: Request) -> Response:
        priority = _priority(await _body(request))
        self._peer.reads.prioritise(_study(request), priority)
        return JSONResponse({})

    async def view(self, request: Request) -> Response:
        viewed = ViewRequest.parse(await _body(request))
        instances, known = self._peer.reads.look(_study(request), viewed)
        return JSONResponse({"instances": instances, "known": known})

    def _fetch(self, request: Request) -> StudyFetch:
        return self._peer.reads.get(_study(request))


def _study(request: Request) -> StudyId:
    return StudyId.parse(request.path_params["study"])


def _count(request: Request, name: str) -> int | None:
    """A whole number in the query, if it is there."""
    given = request.query_params.get(name)
    if given is None:
        return None
    if (number := whole_number(given)) is None:
        raise UsageError(f"{name} must be a whole number")
    return number


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:  # the latter: nested too deep
        raise UsageError("the body must be a JSON object") from error
    if not isinstance(body, dict):
        raise UsageError("the body must be a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a text")
    return value


def _priority(body: dict[str, Any], default: Priority | None = None) -> Priority:
    """The ``priority`` in a body, by its name."""
    if default is not None and "priority" not in body:
        return default
    try:
        return Priority.named(_text(body, "priority"))
    except ValueError as error:
        raise UsageError(str(error)) from error
