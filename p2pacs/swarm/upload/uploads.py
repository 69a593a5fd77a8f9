"""What others ask of this host: who may ask, what is refused, and which sender serves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog
import trio

from p2pacs.errors import BusyError, NoSourceError, P2PacsError, ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import REFUSED_REQUESTS
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.studies.chunks import StudyChunks
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.direct_sender import DirectSender
from p2pacs.swarm.upload.paced_sender import PacedSender
from p2pacs.wire.messages import Cancel, Refuse, Request

log = structlog.get_logger(__name__)


class Uploads:
    """The sending side of a host."""

    def __init__(
        self,
        links: dict[VirtualAddress, Connection],
        studies: OpenSwarms,
        chunks: Callable[[StudyId], StudyChunks | None],
        uplink: Pacer | None,
        *,
        seed: bytes,
        is_broker: bool,
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            links: The open links.
            studies: What is held, and who takes part.
            chunks: The chunks of an open study; None if it is not here.
            uplink: The budget of the host's line; None for no limit.
            seed: What makes the choices of this host its own.
            is_broker: Whether this host sends only what no other has.
        """
        self._links = links
        self._studies = studies
        self._chunks = chunks
        self._direct = DirectSender(self._read, self._count)
        self._paced: PacedSender | None = None
        if uplink is not None:
            self._paced = PacedSender(
                links,
                studies,
                uplink,
                self._read,
                self._count,
                seed=seed,
                origin_of_last_resort=is_broker,
            )
        self._refused: Counter[VirtualAddress] = Counter()
        self.bytes_sent: dict[VirtualAddress, int] = {}
        """Bytes of chunks sent, by member."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._direct.run)
            if self._paced is not None:
                nursery.start_soon(self._paced.run)
            task_status.started()

    # ------------------------------------------------------------ messages

    def request(self, member: VirtualAddress, message: Request) -> None:
        """A member asks for chunks.

        Raises:
            ProtocolError: again and again for what it was not offered, or what is not held.
        """
        link = self._links.get(member)
        if link is None:
            return
        study = StudyId(message.study)
        swarm = self._studies.get(study)
        chunks = self._chunks(study)
        held = [] if chunks is None else [n for n in message.numbers if n in chunks.have]
        if chunks is not None and held:
            chunks.touch()
        if self._paced is not None and link.paced:
            priority = swarm.priority(member) if swarm else 0
            refused = self._paced.chosen(member, study, held, priority)
            if swarm is not None:
                kept_from_it = set(refused)
                swarm.given(member, [n for n in held if n not in kept_from_it])
        else:
            refused = self._direct.ask(member, link, study, held)
        if refused:
            self._refuse(member, study, list(refused), BusyError.wire_code)
        if len(held) < len(message.numbers):
            lacking = sorted(set(message.numbers).difference(held))
            self._refuse(member, study, lacking, NoSourceError.wire_code)
        if refused or len(held) < len(message.numbers):
            self._refused[member] += 1
            if self._refused[member] > REFUSED_REQUESTS:
                raise ProtocolError("asks for ever for what it was not offered")

    def cancel(self, member: VirtualAddress, message: Cancel) -> None:
        """A member no longer needs chunks."""
        study = StudyId(message.study)
        self._direct.cancel(member, study, message.numbers)
        if self._paced is not None:
            self._paced.cancel(member, study, message.numbers)

    def left(self, swarm: StudySwarm, member: VirtualAddress) -> None:
        """A member takes no part in a study any more."""
        if self._paced is not None:
            self._paced.drop(member, swarm.study)

    def drop(self, member: VirtualAddress) -> None:
        """A member is gone."""
        self._refused.pop(member, None)
        self._direct.drop(member)
        if self._paced is not None:
            self._paced.drop(member)

    def drained(self, member: VirtualAddress) -> None:
        """The next block may be sent to a member."""
        if self._paced is not None:
            self._paced.drained(member)

    def changed(self) -> None:
        """Somebody wants more."""
        if self._paced is not None:
            self._paced.changed()

    def gained(self) -> None:
        """There is more to give."""
        if self._paced is not None:
            self._paced.gained()

    def promised(self, member: VirtualAddress) -> int:
        """Bytes of chunks that a member on the paced line is about to get."""
        return self._paced.promised(member) if self._paced is not None else 0

    def _refuse(
        self, member: VirtualAddress, study: StudyId, numbers: Sequence[int], code: int
    ) -> None:
        if link := self._links.get(member):
            link.send(Refuse(bytes(study), list(numbers), code))

    # ------------------------------------------------------------ for the senders

    def _count(self, member: VirtualAddress, size: int) -> None:
        self.bytes_sent[member] = self.bytes_sent.get(member, 0) + size

    async def _read(
        self, member: VirtualAddress, study: StudyId, numbers: list[int]
    ) -> list[tuple[int, bytes]]:
        """The chunks, verified; those that cannot be read are refused and left out."""
        chunks = self._chunks(study)
        if chunks is None:
            self._refuse(member, study, numbers, NoSourceError.wire_code)
            return []
        try:
            return list(zip(numbers, await chunks.read_many(numbers, verify=True), strict=True))
        except P2PacsError as error:
            if len(numbers) == 1:
                log.warning("a chunk cannot be served", study=study.short, error=str(error))
                self._refuse(member, study, numbers, NoSourceError.wire_code)
                return []
        singly = [await self._read(member, study, [number]) for number in numbers]
        return [found for each in singly for found in each]
