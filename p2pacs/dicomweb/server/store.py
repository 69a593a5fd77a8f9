"""Storing (STOW-RS, PS3.18 10.5): from an HTTP request to the disk, part by part."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from email.message import Message
from typing import Final

import trio
from attrs import field, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.concurrency.groups import single_error
from p2pacs.dicomweb.accept import RELATED, Representation
from p2pacs.dicomweb.multipart import Event, MultipartReader, PartEnd, PartHead, boundary_of
from p2pacs.dicomweb.server.backend import Resource
from p2pacs.dicomweb.server.file_heads import DICOM
from p2pacs.dicomweb.server.requests import accept_of, caller_of, root_of
from p2pacs.dicomweb.server.search import DICOM_JSON, JSON
from p2pacs.dicomweb.server.store_answer import StoreOutcome, sentences
from p2pacs.dicomweb.server.store_backend import InstanceWriter, StoreBackend
from p2pacs.dicomweb.server.streamed import plain
from p2pacs.errors import (
    BrokenInstanceError,
    BusyError,
    ForbiddenError,
    P2PacsError,
    UsageError,
)
from p2pacs.limits import STORE_BODY_BYTES, STORE_PARTS, STORE_REQUESTS
from p2pacs.web.guard import host_of
from p2pacs.web.large_bodies import BodyPace, drain, read_pieces

NOTHING: Final = (
    "nothing is stored here: send it to the PACS, or set sending.enabled = true in peer.toml"
)
"""Why a server without a backend for storing refuses."""


@frozen
class StoreTuning:
    """Bounds on what one server takes."""

    requests: int = STORE_REQUESTS
    body_bytes: int = STORE_BODY_BYTES
    parts: int = STORE_PARTS
    pace: BodyPace = field(factory=BodyPace)


class StoreHandler:
    """Answers requests to store instances."""

    def __init__(self, backend: StoreBackend | None, tuning: StoreTuning = StoreTuning()) -> None:
        """A handler.

        Args:
            backend: what keeps them; None: nothing is stored here.
            tuning: bounds.
        """
        self._backend = backend
        self._tuning = tuning
        self._running = 0

    async def __call__(self, request: Request) -> Response:
        """Store what one request brings.

        Raises:
            ForbiddenError: nothing may be stored here.
            UsageError: the body cannot be understood, and nothing of it was stored.
            HTTPException: the body is of another kind, too long, or too slow.
            BusyError: too many store at once.
        """
        try:
            backend, boundary = self._admit(request)
            with self._place():
                outcome = await self._store(request, backend, boundary)
        except (P2PacsError, HTTPException):
            await drain(request)
            raise
        data_set = outcome.data_set(root_of(request))
        body = json.dumps(data_set, separators=(",", ":")).encode()
        response = Response(body, outcome.status, media_type=DICOM_JSON)
        for sentence in sentences(outcome.said):
            response.headers.append("Warning", f'299 p2pacs "{plain(sentence)}"')
        return response

    def _admit(self, request: Request) -> tuple[StoreBackend, str]:
        """Whether a request may be read, by its head: what keeps it, and its boundary."""
        if self._backend is None:
            raise ForbiddenError(NOTHING)
        if not _is_of_here(request):
            raise ForbiddenError("a page of another site may store nothing here")
        if "study" in request.path_params:
            Resource.of(request.path_params["study"])
        accept_of(request).choose([Representation(DICOM_JSON), Representation(JSON)])
        return self._backend, _boundary(request.headers.get("content-type", ""))

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._running >= self._tuning.requests:
            raise BusyError(f"{self._running} others store here now: try again in a minute")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _store(self, request: Request, backend: StoreBackend, boundary: str) -> StoreOutcome:
        outcome = StoreOutcome()
        study = request.path_params.get("study")
        broken: UsageError | None = None
        with single_error():
            async with trio.open_nursery() as nursery:
                storing = _Storing(backend, caller_of(request), study, outcome, nursery)
                try:
                    async with aclosing(self._events(request, boundary)) as events:
                        async for event in events:
                            if isinstance(event, PartHead):
                                await storing.take(event, events)
                except UsageError as error:
                    broken = error
        if broken is not None:
            if not (outcome.stored or outcome.failed):
                raise broken
            outcome.fail(broken)
            await drain(request)
        if not (outcome.stored or outcome.failed):
            raise UsageError("the request has no parts: nothing was stored")
        if storing.are_all_of_other_types:
            raise HTTPException(415, _ONLY)
        return outcome

    async def _events(self, request: Request, boundary: str) -> AsyncGenerator[Event, None]:
        """What stands in the body.

        Raises:
            UsageError: it breaks off, or has too many parts.
        """
        reader, parts = MultipartReader(boundary), 0
        pieces = read_pieces(request, self._tuning.body_bytes, self._tuning.pace)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    for event in reader.feed(piece):
                        parts += isinstance(event, PartHead)
                        if parts > self._tuning.parts:
                            most = self._tuning.parts
                            raise UsageError(f"one request may have {most} parts")
                        yield event
            reader.finish()
        except BrokenInstanceError as error:
            raise UsageError(f"the body cannot be understood: {error}") from error


class _Storing:
    """The parts of one request: they come one after the other, and some are made durable together,
    while the next ones come."""

    def __init__(
        self,
        backend: StoreBackend,
        caller: str,
        study: str | None,
        outcome: StoreOutcome,
        nursery: trio.Nursery,
    ) -> None:
        self._backend = backend
        self._caller = caller
        self._study = study
        self._outcome = outcome
        self._nursery = nursery
        self._places = trio.Semaphore(_TOGETHER)
        self._of_other_types = 0

    @property
    def are_all_of_other_types(self) -> bool:
        """Whether nothing in the request was a DICOM file."""
        outcome = self._outcome
        return not outcome.stored and self._of_other_types == len(outcome.failed)

    async def take(self, head: PartHead, events: AsyncGenerator[Event, None]) -> None:
        """One part: kept, or counted among the failures."""
        kind = head.headers.get("content-type", DICOM).partition(";")[0].strip().lower()
        if kind != DICOM:
            async for event in events:
                if isinstance(event, PartEnd):
                    break
            self._of_other_types += 1
            self._outcome.fail(UsageError(_ONLY))
            return
        await self._places.acquire()
        async with AsyncExitStack() as stack:
            stack.callback(self._places.release)
            receiving = self._backend.receive(self._caller, self._study)
            incoming = await stack.enter_async_context(receiving)
            failed = await _write(incoming, events)
            self._nursery.start_soon(self._keep, stack.pop_all(), incoming, failed)

    async def _keep(
        self, stack: AsyncExitStack, incoming: InstanceWriter, failed: P2PacsError | None
    ) -> None:
        async with stack:
            try:
                if failed is None:
                    self._outcome.add(await incoming.keep())
            except P2PacsError as error:
                failed = error
            if failed is not None:
                self._outcome.fail(failed, incoming.sop_class_uid, incoming.sop_instance_uid)


async def _write(
    incoming: InstanceWriter, events: AsyncGenerator[Event, None]
) -> P2PacsError | None:
    """The body of a part to where it is kept; why it cannot be, if it cannot."""
    failed: P2PacsError | None = None
    async for event in events:
        if isinstance(event, PartEnd):
            break
        try:
            if failed is None and isinstance(event, bytes):
                await incoming.write(event)
        except P2PacsError as error:
            failed = error
    return failed


_TOGETHER: Final = 8
"""Instances of one request that are made durable at once: one flush of the disk is for all."""

_ONLY: Final = (
    f'what is stored here is in {RELATED}; type="{DICOM}": DICOM files (PS3.10), one in each part'
)


def _boundary(content_type: str) -> str:
    """The boundary of a body that can be stored.

    Raises:
        HTTPException: it is of another kind.
    """
    message = Message()
    message["Content-Type"] = content_type
    kind = message.get_param("type", DICOM)
    if message.get_content_type() != RELATED or str(kind).lower() != DICOM:
        raise HTTPException(415, _ONLY)
    try:
        return boundary_of(content_type)
    except BrokenInstanceError as error:
        raise UsageError("Content-Type must name the boundary of the parts") from error


def _is_of_here(request: Request) -> bool:
    """Whether no page of another site sends this (browsers say in Origin whose it is)."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    host = request.headers.get("host", "")
    return origin.partition("://")[2].lower() == host.lower() and bool(host_of(host.encode()))
