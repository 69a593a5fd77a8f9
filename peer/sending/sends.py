"""Studies that somebody at this peer sends to a workstation: a C-MOVE that nobody had to ask for.

It goes the road of one (`peer.gateway.dimse.gateway`): what is not here yet comes while it is sent,
the audit names who sent it, and the workstation gets what a C-MOVE of its own would bring it.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import count

import structlog
import trio
from attrs import define, frozen
from pydicom.dataset import Dataset

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.backend import Retrieval, Urgency
from p2pacs.dimse.delivery.sending import Sending, send_retrieval
from p2pacs.errors import BusyError, NotFoundError, P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase
from peer.config import PeerSettings
from peer.gateway.dimse.bridge import Bridge
from peer.gateway.serving import GatewayParts

log = structlog.get_logger(__name__)


@frozen
class SendsTuning:
    """How much is sent at a time."""

    at_once: int = 4
    """Studies that are on their way: each has a thread and an association."""

    waiting: int = 32
    """Studies that wait for their turn."""

    remembered: int = 32
    """Sends that ended."""


@define(eq=False)
class StudySend:
    """One study that is, or was, sent."""

    number: int
    study: StudyId
    to: DimseRemote
    sending: Sending
    error: P2PacsError | None = None
    """Why nothing, or not all, could be sent."""
    over: bool = False

    def cancel(self) -> None:
        """It is not wanted any more; what was sent is there."""
        self.sending.cancelled = True


class WorkstationSends:
    """All sends of one peer."""

    def __init__(
        self, parts: GatewayParts, settings: PeerSettings, tuning: SendsTuning | None = None
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            parts: what is sent, and where to.
            settings: of the peer.
            tuning: how much at a time.
        """
        self._parts = parts
        self._settings = settings
        self._tuning = tuning or SendsTuning()
        self._numbers = count(1)
        self._sends: OrderedDict[int, StudySend] = OrderedDict()
        self._limit = trio.CapacityLimiter(self._tuning.at_once)
        self._nursery: trio.Nursery | None = None
        self._bridge: Bridge

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            self._bridge = Bridge(nursery)
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    @property
    def destinations(self) -> list[str]:
        """AE titles of the workstations that there are."""
        return sorted(self._parts.destinations)

    @property
    def all(self) -> list[StudySend]:
        """Under way, and the last ones that ended; newest first."""
        return list(reversed(self._sends.values()))

    def send(self, study: StudyId, uid: str, aet: str, caller: str) -> StudySend:
        """Begin to send a study.

        Args:
            study: which.
            uid: its Study Instance UID.
            aet: of the workstation.
            caller: who sends, for the audit.

        Raises:
            NotFoundError: there is no such workstation.
            BusyError: too many are waiting.
        """
        remote = self._parts.destinations.get(aet)
        if remote is None:
            raise NotFoundError(Phrase("no such workstation among the gateway's destinations"))
        if self._nursery is None:
            raise UnavailableError(Phrase("the peer is stopping: try again later"))
        under_way = sum(not one.over for one in self._sends.values())
        if under_way >= self._tuning.at_once + self._tuning.waiting:
            raise BusyError(Phrase("too many studies are being sent: wait until one is there"))
        send = StudySend(next(self._numbers), study, remote, Sending(caller, remote.aet))
        self._sends[send.number] = send
        self._forget()
        self._nursery.start_soon(self._send, send, uid)
        return send

    def get(self, number: int) -> StudySend:
        """One of them.

        Raises:
            NotFoundError: there is no such one, or not for long.
        """
        if number not in self._sends:
            raise NotFoundError(Phrase("this was sent long ago, or never"))
        return self._sends[number]

    async def _send(self, send: StudySend, uid: str) -> None:
        async with self._limit:
            try:
                if not send.sending.cancelled:
                    await send_retrieval(
                        partial(self._open, send, uid),
                        send.to,
                        send.sending,
                        self._settings.aet,
                        conversion=self._parts.conversion(self._bridge, self._settings.gateway),
                    )
            except P2PacsError as error:
                send.error = error
                log.warning("not sent", study=send.study.short, to=send.to.aet, error=str(error))
            finally:
                send.over = True

    def _open(self, send: StudySend, uid: str) -> Retrieval:
        """In the thread that sends."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = uid
        purpose = f"C-MOVE to {send.to.aet}, from the page"
        gateway = self._parts.gateway(self._bridge)
        return gateway.retrieve(identifier, "STUDY", send.sending.caller, purpose, Urgency.MEDIUM)

    def _forget(self) -> None:
        ended = [number for number, one in self._sends.items() if one.over]
        for number in ended[: -self._tuning.remembered or None]:
            del self._sends[number]
