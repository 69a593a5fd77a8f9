"""What others ask of this host: who may ask, what is refused, and which sender serves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

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
from p2pacs.swarm.upload.sender import ChunkSender
from p2pacs.wire.messages.messages import Cancel, Refuse, Request

log = structlog.get_logger(__name__)


class Uploads:
    """Judges what members ask for, and reads it for the sender that serves their link."""

    def __init__(
        self,
        links: Mapping[VirtualAddress, Connection],
        swarms: OpenSwarms,
        chunks: Callable[[StudyId], StudyChunks | None],
        uplink: Pacer | None,
        *,
        seed: bytes,
        is_origin: Callable[[StudySwarm], bool],
        is_broker: Callable[[VirtualAddress], bool],
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            links: The open links.
            swarms: What is here of each study, and who takes part.
            chunks: The chunks of an open study; None if it is not here.
            uplink: The budget of the host's line; None for no limit.
            seed: What makes the choices of this host its own.
            is_origin: Whether this host sends of a study only what no other has.
            is_broker: Whether a study that is sent goes home by way of this member.
        """
        self._links = links
        self._chunks = chunks
        self.direct: ChunkSender = DirectSender(links, self._read, self._count)
        """Serves links that are not paced."""
        self.paced: ChunkSender = self.direct
        """Serves links on the paced line; `direct` if there is no such line."""
        if uplink is not None:
            self.paced = PacedSender(
                links,
                swarms,
                uplink,
                self._read,
                self._count,
                seed=seed,
                is_origin=is_origin,
                is_broker=is_broker,
            )
        self._refused: Counter[VirtualAddress] = Counter()
        self.bytes_sent: dict[VirtualAddress, int] = {}
        """Bytes of chunks sent, by member."""

    @property
    def senders(self) -> tuple[ChunkSender, ...]:
        """Each sender once."""
        return tuple(dict.fromkeys((self.direct, self.paced)))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            for sender in self.senders:
                await nursery.start(sender.run)
            task_status.started()

    # ------------------------------------------------------------ what members say

    def request(self, member: VirtualAddress, message: Request) -> None:
        """A member asks for chunks.

        Raises:
            ProtocolError: again and again for what it was not offered, or what is not held.
        """
        link = self._links.get(member)
        if link is None:
            return
        study = StudyId(message.study)
        chunks = self._chunks(study)
        held = [] if chunks is None else [n for n in message.numbers if n in chunks.have]
        if chunks is not None and held:
            chunks.touch()
        refused = (self.paced if link.paced else self.direct).ask(member, study, held)
        if refused:
            self._refuse(member, study, list(refused), BusyError.wire_code)
        lacking = sorted(set(message.numbers).difference(held))
        if lacking:
            self._refuse(member, study, lacking, NoSourceError.wire_code)
        if refused or lacking:
            self._refused[member] += 1
            if self._refused[member] > REFUSED_REQUESTS:
                raise ProtocolError("asks for ever for what it was not offered")

    def cancel(self, member: VirtualAddress, message: Cancel) -> None:
        """A member no longer needs chunks."""
        for sender in self.senders:  # its link may have been another one when it asked
            sender.cancel(member, StudyId(message.study), message.numbers)

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""
        if study is None:
            self._refused.pop(member, None)
        for sender in self.senders:
            sender.drop(member, study)

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
