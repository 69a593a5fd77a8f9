"""What ``p2pacs send`` asks of the peer: files go into the spool, and how far studies are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final, Protocol

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import UsageError
from p2pacs.limits import INSTANCE_BYTES, MIB
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.large_bodies import drain, read_pieces
from peer.api.asked import ReadBody, read_list, read_priority, read_texts
from peer.api.outgoing_studies import OutgoingStudyCalls
from peer.ingest.incoming_files import IncomingFiles

INSTANCES: Final = "/outgoing/instances"

_HEAD: Final = MIB
"""What may stand before the data set in a file."""


def is_file(scope: Scope) -> bool:
    """Whether the body of a request is a file, which is bounded where it is read."""
    return bool(scope["path"] == INSTANCES)


class Addresses(Protocol):
    """Who keeps to whom studies go (`peer.ingest.addressing.StudyAddressing`)."""

    def check(self, names: Sequence[str]) -> None:
        """Whether studies can be addressed to these; raises why not."""

    async def urge(self, uid: str, priority: Priority) -> None:
        """A study goes to whom it went before, so urgently."""

    async def address(self, uid: str, names: Sequence[str], priority: Priority) -> None:
        """A study goes to these members."""


class OutgoingApi:
    """Its handlers; `incoming` raises why nothing is taken here."""

    def __init__(
        self,
        incoming: Callable[[], IncomingFiles],
        studies: OutgoingStudyCalls,
        addresses: Addresses | None,
        read_body: ReadBody,
    ) -> None:
        self._incoming = incoming
        self._studies = studies
        self._addresses = addresses
        self._read_body = read_body

    @property
    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/outgoing/known", self.known, methods=["POST"]),
            Route(INSTANCES, self.take, methods=["POST"]),
            Route("/outgoing/studies", self.studies, methods=["POST"]),
            Route("/outgoing/address", self.address, methods=["POST"]),
        ]

    async def known(self, request: Request) -> Response:
        """Which of these files came before."""
        index = self._incoming().spool.index
        asked = [_key(one) for one in read_list(await self._read_body(request), "instances")]

        def look() -> list[JsonObject | None]:
            found = [index.find_known(*one) for one in asked]
            return [
                None
                if one is None
                else {"study_instance_uid": one[0], "outcome": one[1].name.lower()}
                for one in found
            ]

        return JSONResponse({"instances": await trio.to_thread.run_sync(look)})

    async def take(self, request: Request) -> Response:
        """Keep a file."""
        try:
            kept = await self._take(request)
        finally:
            await drain(request)
        outcome = "known" if kept.known else "beside" if kept.beside else "kept"
        return JSONResponse({"study_instance_uid": kept.study, "outcome": outcome})

    async def _take(self, request: Request) -> KeptInstance:
        async with (
            self._incoming().receive("command", None) as incoming,
            aclosing(read_pieces(request, INSTANCE_BYTES + _HEAD)) as pieces,
        ):
            async for piece in pieces:
                await incoming.write(piece)
            return await incoming.keep()

    async def studies(self, request: Request) -> Response:
        """How far studies are."""
        uids = read_texts(await self._read_body(request), "study_instance_uids")
        desk = self._studies.desk
        found = [] if desk is None else await desk.find(uids)
        return JSONResponse({"studies": [await self._studies.told(one) for one in found]})

    async def address(self, request: Request) -> Response:
        """Have studies go to members, or (none are named) only so urgently; of no study: whether
        they can."""
        self._incoming()
        body = await self._read_body(request)
        uids, names = read_texts(body, "study_instance_uids"), read_texts(body, "to")
        urgency = read_priority(body)
        if self._addresses is None:
            raise UsageError("nothing is sent from here")
        self._addresses.check(names)
        for uid in uids:
            if names:
                await self._addresses.address(uid, names, urgency)
            else:
                await self._addresses.urge(uid, urgency)
        return JSONResponse({})


def _key(one: object) -> tuple[str, str, bytes]:
    """SOP Instance UID, Transfer Syntax UID, SHA-256 of the data set."""
    if not isinstance(one, dict):
        raise UsageError("instances must be objects")
    uid, syntax, digest = (
        one.get(name) for name in ("sop_instance_uid", "transfer_syntax_uid", "sha256")
    )
    if not isinstance(uid, str) or not isinstance(syntax, str) or not isinstance(digest, str):
        raise UsageError("an instance has sop_instance_uid, transfer_syntax_uid and sha256")
    try:
        return uid, syntax, bytes.fromhex(digest)
    except ValueError as error:
        raise UsageError("sha256 must be hexadecimal") from error
