"""To whom studies go that are sent from here: said, and how far each is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from p2pacs.errors import UsageError
from p2pacs.limits import OUTGOING_TOGETHER, RECIPIENTS
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.scheduling.priority import Priority
from peer.ingest.addressing import AddressedStudy, StudyAddressing

ReadFields = Callable[[Request], Awaitable[Mapping[str, Any]]]


class RecipientsApi:
    """Its handlers; `addressing` raises why nothing is sent from here."""

    def __init__(self, addressing: Callable[[], StudyAddressing], read_body: ReadFields) -> None:
        self._addressing = addressing
        self._read_body = read_body

    @property
    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/outgoing/address", self.address, methods=["POST"]),
            Route("/outgoing/recipients", self.recipients, methods=["POST"]),
        ]

    async def address(self, request: Request) -> Response:
        """These studies go to these members, and to no others."""
        addressing, body = self._addressing(), await self._read_body(request)
        uids = _texts(body, "study_instance_uids", OUTGOING_TOGETHER)
        names = _texts(body, "recipients", RECIPIENTS)
        try:
            priority = Priority.named(str(body.get("priority", "interactive")))
        except ValueError as error:
            raise UsageError(str(error)) from error
        addressing.check(names)
        for uid in uids:
            await addressing.address(uid, names, priority)
        return JSONResponse({})

    async def recipients(self, request: Request) -> Response:
        """To whom studies go, and how far each is."""
        addressing, body = self._addressing(), await self._read_body(request)
        uids = _texts(body, "study_instance_uids", OUTGOING_TOGETHER)
        studies = [addressed_json(uid, await addressing.of(uid)) for uid in uids]
        return JSONResponse({"studies": studies})


def addressed_json(uid: str, study: AddressedStudy) -> JsonObject:
    """To whom a study goes, and how far each is."""
    return {
        "study_instance_uid": uid,
        "recipients": list(study.recipients.names),
        "priority": study.recipients.priority.name.lower(),
        "by_rule": study.by_rule,
        "unknown": list(study.unknown),
        "copies": [
            {
                "name": one.name,
                "address": str(one.state.member),
                "recipient": one.is_recipient,
                "version": one.state.version,
                "thousandths": one.state.share,
                "seen": one.state.seen,
            }
            for one in study.copies
        ],
    }


def _texts(body: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{name} must be a list of texts")
    if len(value) > most:
        raise UsageError(f"{name} has {most} at most")
    return value
