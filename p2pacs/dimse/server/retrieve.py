"""Serves C-MOVE and C-GET requests: instances leave byte for byte as they came in, or converted
where the settings say so of a receiver."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.presentation import PresentationContext

from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association, Service
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.store_request import accepted_pairs, send_instance
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.backend import Backend, Retrieval
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.delivery.conversion import Conversion, Converting
from p2pacs.dimse.delivery.delivery import Delivery, Receiver, Sendable, deliver_to, maker
from p2pacs.dimse.server.listener import agreed_options
from p2pacs.dimse.server.reply import RetrieveReply
from p2pacs.errors import P2PacsError

log = structlog.get_logger(__name__)


class RetrieveService:
    """C-MOVE and C-GET of one server."""

    def __init__(
        self,
        backend: Backend,
        entity: AE,
        destinations: Mapping[str, DimseRemote],
        tuning: DimseTuning,
        conversion: Conversion | None = None,
    ) -> None:
        self._tuning = tuning
        self._conversion = conversion
        self._backend = backend
        self._entity = entity
        self._destinations = destinations

    def services(self) -> dict[type, Service]:
        """What to do with which request."""
        return {C_MOVE: self._move, C_GET: self._get}

    def _move(self, assoc: Association, request: C_MOVE, context: PresentationContext) -> None:
        reply = RetrieveReply(assoc, request, context)
        title = str(request.MoveDestination or "").strip()
        remote = self._destinations.get(title)
        if remote is None:
            log.warning("unknown move destination", caller=reply.caller, destination=title)
            reply.final(sub.UNKNOWN_DESTINATION, comment="unknown move destination")
            return
        retrieval = self._open(reply, contexts.MOVE, f"C-MOVE to {title}")
        if retrieval is None:
            return
        deliver_to(
            remote,
            retrieval,
            reply,
            self._entity,
            conversion=self._conversion,
            originator=(reply.caller, request.MessageID or 0),
            tuning=self._tuning,
        )

    def _get(self, assoc: Association, request: C_GET, context: PresentationContext) -> None:
        reply = RetrieveReply(assoc, request, context)
        retrieval = self._open(reply, contexts.GET, "C-GET")
        if retrieval is None:
            return
        numbers = iter(range((request.MessageID or 0) + 1, 1 << 62))

        refused: set[contexts.Pair] = set()

        def refusal(pair: contexts.Pair) -> str:
            return contexts.refusal_to_receiver(pair, assoc.proposed)

        def send(instance: Sendable) -> int | None:
            status = send_instance(assoc, instance, next(numbers) % 0xFFFF + 1)
            pair = (instance.sop_class_uid, instance.transfer_syntax_uid)
            if status is None and pair not in refused:
                refused.add(pair)
                log.warning(
                    "instances are not sent as the C-GET client wants them: no conversion is set",
                    caller=reply.caller,
                    sop_class=UID(pair[0]).name,
                    transfer_syntax=UID(pair[1]).name,
                    why=refusal(pair),
                )
            return status

        conversion = self._conversion
        converting = Converting.NEVER if conversion is None else conversion.clients
        ready = maker(conversion, converting, lambda _: accepted_pairs(assoc))
        receiver = Receiver(send, refusal, ready)
        Delivery(reply, retrieval, receiver, self._tuning).run()

    def _open(
        self, reply: RetrieveReply, models: Mapping[str, str], purpose: str
    ) -> Retrieval | None:
        """Ask the backend; an error is answered and gives None."""
        try:
            root: QueryRoot = "PATIENT" if reply.model == models["PATIENT"] else "STUDY"
            options = agreed_options(reply.assoc, reply.model)
            return self._backend.retrieve(
                reply.identifier(), root, reply.caller, purpose, reply.urgency, options=options
            )
        except P2PacsError as error:
            log.warning("retrieval refused", caller=reply.caller, purpose=purpose, error=str(error))
            reply.final(sub.status_of(error), comment=sub.comment_of(error))
            return None
