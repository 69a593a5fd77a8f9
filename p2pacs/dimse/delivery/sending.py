"""Sends what somebody here wants sent to a workstation, as its C-MOVE would bring it there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import define, field
from pynetdicom import AE

from p2pacs.dimse.association.calls import CallAssociation, call
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.dimse.backend import Retrieval
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.delivery.conversion import Conversion
from p2pacs.dimse.delivery.delivery import deliver_to


@define(eq=False)
class Sending:
    """How far it is; read and cancelled from any thread."""

    caller: str
    """Who sends."""
    remote: str
    """Where to, for people and the log."""
    tally: sub.SubOperationCounts = field(factory=sub.SubOperationCounts)
    cancelled: bool = False
    remaining: int | None = None
    """Instances still to come, as far as known."""
    status: int | None = None
    """Of the end (PS3.4 C.4.2.1.5); None before."""
    comment: str = ""

    @property
    def gone(self) -> bool:
        """Somebody is always there."""
        return False

    @property
    def total(self) -> int:
        """Instances in all, as far as known."""
        return self.tally.done + (self.remaining or 0)

    def pending(self, remaining: int) -> None:
        """It goes on."""
        self.remaining = remaining

    def final(self, status: int, *, remaining: int | None = None, comment: str = "") -> None:
        """It is over."""
        self.remaining = remaining or 0
        self.comment = comment
        self.status = status


async def send_retrieval(
    open_retrieval: Callable[[], Retrieval],
    to: DimseRemote,
    sending: Sending,
    aet: str,
    *,
    conversion: Conversion | None = None,
    tuning: DimseTuning = TUNING,
) -> None:
    """Send all that a retrieval gives; what became of it is in ``sending``.

    Args:
        open_retrieval: what is sent; called in the thread that sends.
        to: the receiver.
        sending: told how it goes; setting ``cancelled`` ends it.
        aet: our AE title.
        conversion: as a C-MOVE to the same receiver has it.
        tuning: deadlines and bounds.

    Raises:
        P2PacsError: there is nothing that could be sent.
    """

    def work(line: CallAssociation) -> None:
        entity = AE(aet)
        entity.connection_timeout = tuning.connect
        entity.acse_timeout = tuning.negotiate
        deliver = partial(deliver_to, conversion=conversion, originator=None, tuning=tuning)
        deliver(to, open_retrieval(), sending, entity, opening=line.opening)

    await call(work)
