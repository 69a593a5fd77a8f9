"""Serves C-MOVE and C-GET requests: instances leave byte for byte as they came in, or converted
where the settings say so of a receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from functools import partial

import structlog
from attrs import frozen
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.presentation import PresentationContext

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse import contexts
from p2pacs.dimse import suboperations as sub
from p2pacs.dimse._association import (
    UID_CHARACTERS,
    Association,
    Service,
    accepted_pairs,
    remote_of,
    send_instance,
)
from p2pacs.dimse._reply import RetrieveReply
from p2pacs.dimse._sender import InstanceSender
from p2pacs.dimse.backend import (
    Backend,
    Ending,
    MissingInstances,
    Retrieval,
    RetrievedItem,
)
from p2pacs.dimse.conversion import Conversion, make_ready
from p2pacs.dimse.remote import DimseRemote
from p2pacs.dimse.tuning import DimseTuning
from p2pacs.errors import P2PacsError, PacsUnreachableError, TranscodingError, WorkerError
from p2pacs.transcode.syntaxes import TARGETS, name_of

log = structlog.get_logger(__name__)


def _as_it_is(instance: EncodedInstance) -> EncodedInstance:
    return instance


@frozen
class _Receiver:
    """Who gets the instances."""

    send: Callable[[EncodedInstance], int | None]
    """Sends one: its C-STORE status; None if it is not accepted as it is stored."""
    refusal: Callable[[contexts.Pair], str] = contexts.refusal
    """What to say of a pair that is not accepted."""
    ready: Callable[[EncodedInstance], EncodedInstance] = _as_it_is
    """Makes one ready to be sent: converted where that is allowed and needed."""
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
        conversion = self._conversion
        converts = conversion is not None and title in conversion.destinations
        sender = InstanceSender(
            self._entity,
            remote,
            known=retrieval.contexts,
            originator=(reply.caller, request.MessageID or 0),
            targets=TARGETS if converts else (),
            tuning=self._tuning,
        )
        try:
            receiver = _Receiver(
                sender.send,
                ready=self._maker(sender.accepted) if converts else _as_it_is,
                reached=lambda: sender.reached,
                # A user of the workstation knows its title; the address would cut the advice.
                comment=lambda text: text.replace(str(remote), remote.aet),
            )
            _SubOperations(reply, retrieval, receiver, self._tuning).run()
        finally:
            sender.close()

    def _get(self, assoc: Association, request: C_GET, context: PresentationContext) -> None:
        reply = RetrieveReply(assoc, request, context)
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

        converts = self._conversion is not None and self._conversion.clients
        ready = self._maker(lambda _: accepted_pairs(assoc)) if converts else _as_it_is
        receiver = _Receiver(send, refusal, ready)
        _SubOperations(reply, retrieval, receiver, self._tuning).run()

    def _maker(
        self, accepted: Callable[[contexts.Pair], Collection[contexts.Pair]]
    ) -> Callable[[EncodedInstance], EncodedInstance]:
        """Makes instances ready for a receiver that accepts such pairs."""
        if self._conversion is None:
            return _as_it_is
        return partial(make_ready, convert=self._conversion.convert, accepted=accepted)

    def _open(
        self, reply: RetrieveReply, models: Mapping[str, str], purpose: str
    ) -> Retrieval | None:
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


class _SubOperations:
    """The sub-operations of one request."""

    def __init__(
        self,
        reply: RetrieveReply,
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
                why = self._receiver.comment(next(iter(tally.reasons), tally.converted))
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
                **({"converted": tally.conversions} if tally.conversions else {}),
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
            ready = self._receiver.ready(instance)
            status = self._receiver.send(ready)
        except (TranscodingError, WorkerError) as error:  # of this instance alone
            tally.fail(str(error), uid)
            return
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
            if ready is not instance:
                tally.convert(*(name_of(one.transfer_syntax_uid) for one in (instance, ready)))
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
