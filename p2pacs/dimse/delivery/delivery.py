"""Instances of a retrieval on their way to who takes them: C-STORE sub-operations and their counts.

For C-MOVE and C-GET of others, and for what somebody here sends (`p2pacs.dimse.delivery.sending`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from functools import partial
from typing import Protocol

import structlog
from attrs import frozen
from pynetdicom import AE

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.uids import UID_CHARACTERS
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import Association
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.backend import Ending, MissingInstances, Retrieval, RetrievedItem
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.delivery.conversion import Conversion, Converting, make_ready
from p2pacs.dimse.delivery.sender import InstanceSender
from p2pacs.errors import P2PacsError, PacsUnreachableError, TranscodingError, WorkerError
from p2pacs.transcode.syntaxes import TARGETS, name_of

log = structlog.get_logger(__name__)


class DeliveryReply(Protocol):
    """Who asked, and is told how it goes."""

    tally: sub.SubOperationCounts

    @property
    def caller(self) -> str:
        """Who asked."""

    @property
    def remote(self) -> str:
        """Where it came from, for the log."""

    @property
    def cancelled(self) -> bool:
        """Whether it is not wanted any more."""

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be told."""

    def pending(self, remaining: int) -> None:
        """It goes on."""

    def final(self, status: int, *, remaining: int | None = None, comment: str = "") -> None:
        """It is over."""


Sendable = EncodedInstance | LargeInstance


def as_it_is(instance: Sendable) -> Sendable:
    """Nothing is converted."""
    return instance


@frozen
class Receiver:
    """Who gets the instances."""

    send: Callable[[Sendable], int | None]
    """Sends one: its C-STORE status; None if it is not accepted as it is stored."""
    refusal: Callable[[contexts.Pair], str] = contexts.refusal
    """What to say of a pair that is not accepted."""
    ready: Callable[[Sendable], Sendable] = as_it_is
    """Makes one ready to be sent: converted where that is allowed and needed."""
    reached: Callable[[], bool] = lambda: True
    """Whether an association was ever open."""
    comment: Callable[[str], str] = str
    """What of a reason goes into the Error Comment."""


def maker(
    conversion: Conversion | None,
    converting: Converting,
    accepted: Callable[[contexts.Pair], Collection[contexts.Pair]],
) -> Callable[[Sendable], Sendable]:
    """Makes instances ready for a receiver that accepts such pairs."""
    if conversion is None or converting is Converting.NEVER:
        return as_it_is
    return partial(make_ready, convert=conversion.convert, accepted=accepted, converting=converting)


def deliver_to(
    remote: DimseRemote,
    retrieval: Retrieval,
    reply: DeliveryReply,
    entity: AE,
    *,
    conversion: Conversion | None,
    originator: tuple[str, int] | None,
    opening: Callable[[Association], None] | None = None,
    tuning: DimseTuning,
) -> None:
    """Send what a retrieval gives to an application entity, until its end; in a thread.

    Args:
        remote: the receiver.
        retrieval: what it gets.
        reply: told how it goes.
        entity: our application entity.
        conversion: for whom instances are converted; None: for nobody.
        originator: AE title and message id of the C-MOVE that this is part of.
        opening: gets each association before it is opened.
        tuning: deadlines and bounds.
    """
    converting = Converting.NEVER
    if conversion is not None:
        converting = conversion.destinations.get(remote.aet, converting)
    sender = InstanceSender(
        entity,
        remote,
        known=retrieval.contexts,
        originator=originator,
        opening=opening,
        targets=() if converting is Converting.NEVER else TARGETS,
        tuning=tuning,
    )
    try:
        receiver = Receiver(
            sender.send,
            ready=maker(conversion, converting, sender.accepted),
            reached=lambda: sender.reached,
            # A user of the workstation knows its title; the address would cut the advice.
            comment=lambda text: text.replace(str(remote), remote.aet),
        )
        Delivery(reply, retrieval, receiver, tuning).run()
    finally:
        sender.close()


class Delivery:
    """The sub-operations of one request."""

    def __init__(
        self,
        reply: DeliveryReply,
        retrieval: Retrieval,
        receiver: Receiver,
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
                remote=reply.remote,
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
            if isinstance(item, Sendable):
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

    def _send_one(self, instance: Sendable) -> None:
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
        except P2PacsError as error:
            if isinstance(instance, EncodedInstance):
                raise
            # It is read while it is sent, and so is the first that knows that it cannot be.
            log.warning("a large instance broke off", caller=self._reply.caller, why=str(error))
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

    def _unsendable(self, instance: Sendable) -> str:
        """Why an instance was not even sent."""
        if isinstance(instance, EncodedInstance) and not instance.data:
            return "an instance without a data set cannot be sent"
        if len(instance.sop_instance_uid) > UID_CHARACTERS:
            return "a UID is too long for a DIMSE message"
        return self._receiver.refusal((instance.sop_class_uid, instance.transfer_syntax_uid))
