"""Studies that are sent from here, at the local interface.

GET  /outgoing/studies                      all: those that need somebody, then the newest first
POST /outgoing/studies/{number}/retry       send it (again) now
POST /outgoing/studies/{number}/cancel      send nothing more of it; what is in the PACS stays
                                            there
POST /outgoing/studies/{number}/address     have it go to these members, too ({"to", "priority"})
POST /outgoing/studies/{number}/remove      remove what lies here of it and was not sent
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from p2pacs.dataset.json_model import text
from p2pacs.errors import NotFoundError
from p2pacs.output.json_object import JsonObject
from p2pacs.web.numbers import number_of
from peer.api.asked import ReadBody, read_priority, read_texts
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import OutgoingState, OutgoingStudy

_PATH: Final = "/outgoing/studies"

WHO: Final = "command line"
"""Who does it, in the trail."""


@frozen
class OutgoingStudyCalls:
    """What is asked of the studies that are sent from here."""

    desk: OutgoingDesk | None
    read_body: ReadBody

    def routes(self) -> list[Route]:
        """Where it is asked."""
        one, post = f"{_PATH}/{{number}}", ["POST"]
        return [
            Route(_PATH, self.list),
            Route(f"{one}/retry", self.retry, methods=post),
            Route(f"{one}/cancel", self.cancel, methods=post),
            Route(f"{one}/address", self.address, methods=post),
            Route(f"{one}/remove", self.remove, methods=post),
        ]

    async def list(self, _request: Request) -> Response:
        """All of them."""
        found = [] if self.desk is None else await self.desk.list_studies()
        return JSONResponse({"studies": [await self.told(one) for one in found]})

    async def retry(self, request: Request) -> Response:
        """Send one now."""
        return JSONResponse(await self.told(await self._known.retry(number_of(request), WHO)))

    async def cancel(self, request: Request) -> Response:
        """Send nothing more of one."""
        return JSONResponse(await self.told(await self._known.cancel(number_of(request), WHO)))

    async def address(self, request: Request) -> Response:
        """Have one go to further members."""
        body = await self.read_body(request)
        names, urgency = read_texts(body, "to"), read_priority(body)
        number = number_of(request)
        return JSONResponse(
            await self.told(await self._known.address_more(number, names, urgency, WHO))
        )

    async def remove(self, request: Request) -> Response:
        """Remove what lies here of one."""
        await self._known.remove(number_of(request), WHO)
        return JSONResponse({})

    @property
    def _known(self) -> OutgoingDesk:
        if self.desk is None:
            raise NotFoundError("nothing is sent from here: see sending.enabled in peer.toml")
        return self.desk

    async def told(self, one: OutgoingStudy) -> JsonObject:
        """What is told of one."""
        told_of = await self._known.attributes(one)
        return {
            "number": one.number,
            "study": None if one.study is None else str(one.study),
            "study_instance_uid": one.uid,
            "patient_id": text(told_of, "PatientID"),
            "patient_name": text(told_of, "PatientName"),
            "study_date": text(told_of, "StudyDate"),
            "description": text(told_of, "StudyDescription"),
            "state": str(one.state),
            "why": one.why,
            "again": None if one.again is None else _time(1000 * one.again),
            "instances": one.instances,
            "published": one.published,
            "bytes": one.bytes,
            "spooled": one.spooled,
            "beside": one.beside,
            "callers": list(one.callers),
            "began": _time(one.began),
            "latest": _time(one.latest),
            "copies": list(one.copies),
            "stat": one.address.is_stat,
            "recipients": [
                {"name": to.name, "known": to.is_known, "whole": to.has_all, "share": to.share}
                for to in one.address.recipients
            ],
            "replicas": one.address.replicas,
            "commitments": [
                {
                    "caller": asked.caller,
                    "asked": _time(asked.asked),
                    "answered": None if asked.answered is None else _time(asked.answered),
                    "safe": asked.safe,
                    "failed": asked.failed,
                    "waiting": asked.waiting,
                }
                for asked in one.commitments
            ],
        }


def sending_json(studies: Sequence[OutgoingStudy], now: float) -> JsonObject:
    """All of them in a few figures.

    Args:
        studies: all.
        now: seconds since 1970.
    """
    moving = [one for one in studies if one.can_cancel]
    failing = sum(one.state is OutgoingState.FAILING for one in moving)
    oldest = min((one.began for one in moving), default=None)
    return {
        "under_way": len(moving),
        "failing": failing,
        "refused": sum(one.state is OutgoingState.REFUSED for one in studies),
        "cancelled": sum(one.state is OutgoingState.CANCELLED for one in studies),
        "stored": sum(one.is_stored for one in studies),
        "spooled": sum(one.spooled for one in studies),
        "oldest": None if oldest is None else round(max(0.0, now - oldest / 1000)),
    }


def _time(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
