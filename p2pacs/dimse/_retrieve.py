"""Serves C-MOVE and C-GET requests: instances leave byte for byte as they came in."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from io import BytesIO
from typing import Any

import structlog
from attrs import frozen
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse import contexts
from p2pacs.dimse import suboperations as sub
from p2pacs.dimse._association import (
    UID_CHARACTERS,
    Association,
    Service,
    has_ended,
    remote_of,
    send_instance,
)
from p2pacs.dimse._identifiers import decode_identifier
from p2pacs.dimse._sender import InstanceSender
from p2pacs.dimse.backend import (
    Backend,
    Ending,
    MissingInstances,
    Retrieval,
    RetrievedItem,
    Urgency,
)
from p2pacs.dimse.remote import DimseRemote
from p2pacs.dimse.tuning import DimseTuning
from p2pacs.errors import P2PacsError, PacsUnreachableError

log = structlog.get_logger(__name__)


@frozen
class _Receiver:
    """Who gets the instances."""

    send: Callable[[EncodedInstance], int | None]
    """Sends one: its C-STORE status; None if it is not accepted as it is stored."""
    refusal: Callable[[contexts.Pair], str] = contexts.refusal
    """What to say of a pair that is not accepted."""
    reached: Callable[[], bool] = lambda: True
    """Whether an association was ever open."""
    comment: Callable[[str], str] = str
    """What of a reason goes into the Error Comment."""


class RetrieveService:
    """C-MOVE and C-GET of one server."""

    def __init__(
        self,
        backend: Backend,
        entity: AE,
        destinations: Mapping[str, DimseRemote],
        tuning: DimseTuning,
    ) -> None:
        self._tuning = tuning
        self._backend = backend
        self._entity = entity
        self._destinations = destinations

    def services(self) -> dict[type, Service]:
        """What to do with which request."""
        return {C_MOVE: self._move, C_GET: self._get}

    def _move(self, assoc: Association, request: C_MOVE, context: PresentationContext) -> None:
        reply = _Reply(assoc, request, context)
        title = str(request.MoveDestination or "").strip()
        remote = self._destinations.get(title)
        if remote is None:
            log.warning("unknown move destination", caller=reply.caller, destination=title)
            reply.final(sub.UNKNOWN_DESTINATION, comment="unknown move destination")
            return
        retrieval = self._open(reply, contexts.MOVE, f"C-MOVE to {title}")
        if retrieval is None:
            return
        sender = InstanceSender(
            self._entity,
            remote,
            known=retrieval.contexts,
            originator=(reply.caller, request.MessageID or 0),
            tuning=self._tuning,
        )
        try:
            receiver = _Receiver(
                sender.send,
                reached=lambda: sender.reached,
                # A user of the workstation knows its title; the address would cut the advice.
                comment=lambda text: text.replace(str(remote), remote.aet),
            )
            _SubOperations(reply, retrieval, receiver, self._tuning).run()
        finally:
            sender.close()

    def _get(self, assoc: Association, request: C_GET, context: PresentationContext) -> None:
        reply = _Reply(assoc, request, context)
        retrieval = self._open(reply, contexts.GET, "C-GET")
        if retrieval is None:
            return
        numbers = iter(range((request.MessageID or 0) + 1, 1 << 62))

        refused: set[contexts.Pair] = set()

        def refusal(pair: contexts.Pair) -> str:
            return contexts.refusal_to_receiver(pair, assoc.proposed)

        def send(instance: EncodedInstance) -> int | None:
            status = send_instance(assoc, instance, next(numbers) % 0xFFFF + 1)
            pair = (instance.sop_class_uid, instance.transfer_syntax_uid)
            if status is None and pair not in refused:
                refused.add(pair)
                log.warning(
                    "instances are not sent as the C-GET client wants them; nothing is transcoded",
                    caller=reply.caller,
                    sop_class=UID(pair[0]).name,
                    transfer_syntax=UID(pair[1]).name,
                    why=refusal(pair),
                )
            return status

        _SubOperations(reply, retrieval, _Receiver(send, refusal), self._tuning).run()

    def _open(self, reply: _Reply, models: Mapping[str, str], purpose: str) -> Retrieval | None:
        """Ask the backend; an error is answered and gives None."""
        try:
            root: QueryRoot = "PATIENT" if reply.model == models["PATIENT"] else "STUDY"
            return self._backend.retrieve(
                reply.identifier(), root, reply.caller, purpose, reply.urgency
            )
        except P2PacsError as error:
            log.warning("retrieval refused", caller=reply.caller, purpose=purpose, error=str(error))
            reply.final(sub.status_of(error), comment=sub.comment_of(error))
            return None


class _Reply:
    """The responses to one C-MOVE or C-GET request."""

    def __init__(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        self.assoc = assoc
        self.tally = sub.SubOperationCounts()
        self.caller = str(assoc.requestor.ae_title).strip()
        self.model = str(context.abstract_syntax)
        self._request = request
        self._context_id = context.context_id or 0
        self._syntax = context.transfer_syntax[0]

    def identifier(self) -> Dataset:
        """What is asked for.

        Raises:
            UsageError: it is no data set.
        """
        return decode_identifier(self._request.Identifier, self._syntax)

    @property
    def urgency(self) -> Urgency:
        """How urgent the client says that it is."""
        return Urgency.of(self._request.Priority)

    @property
    def cancelled(self) -> bool:
        """Whether the client has sent C-CANCEL."""
        return self._request.MessageID in self.assoc.dimse.cancel_req

    @property
    def gone(self) -> bool:
        """Whether the association has ended, or is about to."""
        return has_ended(self.assoc)

    def pending(self, remaining: int) -> None:
        """Report progress."""
        response = self._response(sub.PENDING)
        response.NumberOfRemainingSuboperations = sub.us(remaining)
        self._send(response)

    def final(self, status: int, *, remaining: int | None = None, comment: str = "") -> None:
        """End the operation.

        Args:
            status: of PS3.4 C.4.2.1.5.
            remaining: only for a cancelled one: sub-operations not begun.
            comment: without patient data.
        """
        response = self._response(status)
        if remaining is not None:
            response.NumberOfRemainingSuboperations = sub.us(remaining)
        if comment:
            response.ErrorComment = comment
        if self.tally.failed_uids:
            failed = Dataset()
            syntax = self._syntax
            failed.FailedSOPInstanceUIDList = sub.failed_list(
                self.tally.failed_uids, implicit=syntax.is_implicit_VR
            )
            encoded = encode(failed, syntax.is_implicit_VR, syntax.is_little_endian)
            if encoded is not None:
                response.Identifier = BytesIO(encoded)
        self._send(response)

    def _response(self, status: int) -> Any:
        response = type(self._request)()
        response.MessageIDBeingRespondedTo = self._request.MessageID
        response.AffectedSOPClassUID = self._request.AffectedSOPClassUID
        response.Status = status
        response.NumberOfCompletedSuboperations = sub.us(self.tally.completed)
        response.NumberOfFailedSuboperations = sub.us(self.tally.failed)
        response.NumberOfWarningSuboperations = sub.us(self.tally.warnings)
        return response

    def _send(self, response: Any) -> None:
        if not self.gone:
            self.assoc.dimse.send_msg(response, self._context_id)


class _SubOperations:
    """The sub-operations of one request."""

    def __init__(
        self,
        reply: _Reply,
        retrieval: Retrieval,
        receiver: _Receiver,
        tuning: DimseTuning,
    ) -> None:
        self._tuning = tuning
        self._reply = reply
        self._retrieval = retrieval
        self._receiver = receiver
        self._lost = 0
        self._reported = 0.0
        self._given: set[str] = set()
        """SOP Instance UIDs that were sent, or counted as failed."""

    def run(self) -> None:
        """Send instances as they come, until the end, a cancel, an abort or an error."""
        reply, tally = self._reply, self._reply.tally
        started = time.monotonic()
        instances = self._retrieval.instances
        ending = Ending.BROKEN
        try:
            status = self._all(instances)
            ending = Ending.INTERRUPTED if status in (None, sub.CANCELLED) else Ending.OVER
            if status is not None:
                remaining = self._remaining() if status == sub.CANCELLED else None
                why = self._receiver.comment(next(iter(tally.reasons), ""))
                reply.final(status, remaining=remaining, comment=sub.comment_of(why))
        except P2PacsError as error:
            self._fail_the_rest(str(error))
            log.warning("retrieval failed", caller=reply.caller, error=str(error))
            comment = sub.comment_of(self._receiver.comment(str(error)))
            reply.final(sub.status_of(error), comment=comment)
        finally:
            if isinstance(instances, Generator):
                instances.close()
            self._retrieval.close(ending)
            log.info(
                "retrieval over",
                remote=remote_of(reply.assoc),
                completed=tally.completed,
                failed=tally.failed,
                warnings=tally.warnings,
                seconds=round(time.monotonic() - started, 3),
                **({"why": tally.why} if tally.failed else {}),
            )

    def _fail_the_rest(self, why: str) -> None:
        """What was not sent when the retrieval broke off fails, named as far as it is known."""
        rest = tuple(uid for uid in self._retrieval.uids() if uid not in self._given)
        self._reply.tally.fail(why, *rest, unnamed=max(0, self._remaining() - len(rest)))

    def _all(self, instances: Iterator[RetrievedItem]) -> int | None:
        """The final status; None if the client is gone."""
        tally = self._reply.tally
        while not self._reply.gone:
            if self._reply.cancelled:
                return sub.CANCELLED
            item = next(instances, None)
            if isinstance(item, EncodedInstance):
                self._send_one(item)
                self._report(self._tuning.report)
            elif isinstance(item, MissingInstances):
                self._given.update(item.uids)
                tally.fail(item.reason, *item.uids, unnamed=item.unnamed)
            elif item is None:
                return tally.final_status()
            else:
                self._report(self._tuning.keep_alive)
        return None

    def _send_one(self, instance: EncodedInstance) -> None:
        tally, uid = self._reply.tally, instance.sop_instance_uid
        self._given.add(uid)
        try:
            status = self._receiver.send(instance)
        except PacsUnreachableError as error:
            self._lost += 1
            # One instance may break the destination, and the next ones be taken all the same.
            if self._lost >= self._tuning.lost_associations or not self._receiver.reached():
                tally.fail(str(error), uid)
                raise
            log.warning("sub-operation failed", caller=self._reply.caller, error=str(error))
            tally.fail(str(error), uid)
            return
        self._lost = 0
        if status is None:
            tally.fail(self._unsendable(instance), uid)
        elif tally.count(status, uid):
            self._retrieval.arrived()

    def _report(self, interval: float) -> None:
        now = time.monotonic()
        if now - self._reported >= interval:
            self._reported = now
            self._reply.pending(self._remaining())

    def _remaining(self) -> int:
        return max(0, self._retrieval.total() - self._reply.tally.done)

    def _unsendable(self, instance: EncodedInstance) -> str:
        """Why an instance was not even sent."""
        if not instance.data:
            return "an instance without a data set cannot be sent"
        if len(instance.sop_instance_uid) > UID_CHARACTERS:
            return "a UID is too long for a DIMSE message"
        return self._receiver.refusal((instance.sop_class_uid, instance.transfer_syntax_uid))
