"""Sending requested chunks: one queue for the host's line, and a pump for each free link.

Paced links share the uplink's budget block by block: whenever the line is free, the least
complete requester that can take a block gets the next one. A requester that does not read
blocks only itself, since at most one block of each link is handed to the transport. Links that
are not paced are served side by side, as fast as they read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog
import trio
from attrs import define

from p2pacs.errors import (
    BusyError,
    LinkClosedError,
    NoSourceError,
    P2PacsError,
)
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import CHUNK_BYTES, KIB
from p2pacs.swarm.chunks import StudyChunks
from p2pacs.swarm.connection import Connection
from p2pacs.swarm.outbox import Outbox
from p2pacs.swarm.paced import Pacer
from p2pacs.swarm.signals import Bell
from p2pacs.wire.messages import Block, Cancel, Refuse, Request

log = structlog.get_logger(__name__)

BLOCK_BYTES: Final = 8 * KIB
"""Least data of a block on a paced link: 80 ms of a slow uplink, so that priorities hold ..."""

BLOCK_SECONDS: Final = 0.02
"""... and this much of a faster one, up to a whole chunk, so that it costs little work."""

BATCH_CHUNKS: Final = 8
"""Chunks that a free link reads from the disk in one thread hop, and sends at once."""

READ_AHEAD_BATCHES: Final = 1
"""Batches that wait while another is sent: the disk and the line work at the same time."""


@define
class _Piece:
    """A chunk on its way to one requester."""

    study: StudyId
    number: int
    data: bytes
    offset: int = 0


class Uploads:
    """The sending side of a host."""

    def __init__(
        self,
        links: dict[VirtualAddress, Connection],
        chunks: Callable[[StudyId], StudyChunks | None],
        completeness: Callable[[VirtualAddress, StudyId], float],
        uplink: Pacer | None,
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            links: The open links.
            chunks: The chunks of an open study; None if it is not here.
            completeness: Which fraction of a study a member has.
            uplink: The budget of the host's line; None for no limit.
        """
        self._links = links
        self._chunks = chunks
        self._completeness = completeness
        self._uplink = uplink
        rate = uplink.rate if uplink else 0.0
        self._block = max(BLOCK_BYTES, min(CHUNK_BYTES, int(rate * BLOCK_SECONDS)))
        self._outbox = Outbox()
        self._pieces: dict[VirtualAddress, _Piece] = {}
        self._busy: set[VirtualAddress] = set()
        self._bell = Bell()
        self._nursery: trio.Nursery | None = None
        self.bytes_sent: dict[VirtualAddress, int] = {}
        """Bytes of chunks sent, by member."""

    # ------------------------------------------------------------ messages

    def request(self, member: VirtualAddress, message: Request) -> None:
        """A member asks for chunks."""
        study = StudyId(message.study)
        chunks = self._chunks(study)
        held = [] if chunks is None else [n for n in message.numbers if n in chunks.have]
        if chunks is not None:
            chunks.touch()
        refused = self._outbox.ask(member, study, held)
        if refused:
            self._refuse(member, study, refused, BusyError.wire_code)
        if len(held) < len(message.numbers):
            lacking = sorted(set(message.numbers).difference(held))
            self._refuse(member, study, lacking, NoSourceError.wire_code)
        self._wake(member)

    def cancel(self, member: VirtualAddress, message: Cancel) -> None:
        """A member no longer needs chunks."""
        study = StudyId(message.study)
        self._outbox.cancel(member, study, message.numbers)
        piece = self._pieces.get(member)
        if piece and piece.study == study and piece.number in message.numbers:
            del self._pieces[member]

    def drop(self, member: VirtualAddress) -> None:
        """A member is gone."""
        self._outbox.drop(member)
        self._pieces.pop(member, None)

    def _refuse(
        self, member: VirtualAddress, study: StudyId, numbers: Sequence[int], code: int
    ) -> None:
        if link := self._links.get(member):
            link.send(Refuse(bytes(study), list(numbers), code))

    # ------------------------------------------------------------ tasks

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await self._share_line()
            finally:  # nothing new is begun while the rest ends
                self._nursery = None

    async def _share_line(self) -> None:
        """Give the paced line to one requester after the other."""
        while True:
            member = self._outbox.choose(self._ready())
            if member is None:
                await self._bell.wait()
                continue
            if self._uplink is not None:
                await self._uplink.ready()
                member = self._outbox.choose(self._ready())  # it may have changed meanwhile
            if member is not None:
                self._begin(member)

    def _ready(self) -> Iterator[tuple[VirtualAddress, float]]:
        """Paced requesters that can take a block, and how complete they are."""
        for member in [*self._pieces, *self._outbox.waiting()]:
            link = self._links.get(member)
            if link is not None and link.paced and member not in self._busy:
                piece = self._pieces.get(member)
                following = self._outbox.next(member)
                study = piece.study if piece else following[0] if following else None
                if study is not None:
                    yield member, self._completeness(member, study)

    def _wake(self, member: VirtualAddress) -> None:
        link = self._links.get(member)
        if link is None or self._nursery is None:
            return
        if link.paced:
            self._bell.ring()
        elif member not in self._busy:
            self._busy.add(member)
            self._nursery.start_soon(self._guarded, self._pump, member, link)

    def _begin(self, member: VirtualAddress) -> None:
        """Charge one block to the line, then send it beside the others."""
        link = self._links[member]
        piece = self._pieces.get(member)
        rest = len(piece.data) - piece.offset if piece else self._block
        link.reserve(min(self._block, rest))
        self._busy.add(member)
        if self._nursery is not None:
            self._nursery.start_soon(self._guarded, self._send_block, member, link)

    async def _guarded(
        self,
        send: Callable[[VirtualAddress, Connection], Awaitable[None]],
        member: VirtualAddress,
        link: Connection,
    ) -> None:
        try:
            await send(member, link)
        except* LinkClosedError:
            pass  # the mesh tells when the member is gone
        finally:
            self._busy.discard(member)
            self._bell.ring()
            if self._outbox.next(member) is not None:  # asked for while the last was sent
                self._wake(member)

    async def _send_block(self, member: VirtualAddress, link: Connection) -> None:
        """One block to one member on the paced line."""
        piece = self._pieces.get(member)
        if piece is None:
            taken = self._outbox.take(member, 1)
            if taken is None:
                return
            found = await self._read(member, *taken)
            if not found:
                return
            piece = self._pieces[member] = _Piece(taken[0], *found[0])
        end = min(piece.offset + self._block, len(piece.data))
        block = Block(
            bytes(piece.study),
            piece.number,
            piece.offset,
            len(piece.data),
            piece.data[piece.offset : end],
        )
        piece.offset = end
        if end == len(piece.data):
            del self._pieces[member]
        await link.send_blocks(block)
        self._count(member, len(block.data))

    async def _pump(self, member: VirtualAddress, link: Connection) -> None:
        """All that a member on a free link asked for; what follows is read meanwhile."""
        ahead, batches = trio.open_memory_channel[list[Block]](READ_AHEAD_BATCHES)
        async with trio.open_nursery() as nursery, batches:
            nursery.start_soon(self._read_ahead, member, ahead)
            async for batch in batches:
                await link.send_blocks(*batch)
                self._count(member, sum(block.size for block in batch))

    async def _read_ahead(
        self, member: VirtualAddress, ahead: trio.MemorySendChannel[list[Block]]
    ) -> None:
        """Read what a member asked for, batch after batch, until it is all on its way."""
        async with ahead:
            while taken := self._outbox.take(member, BATCH_CHUNKS):
                study, numbers = taken
                found = await self._read(member, study, numbers)
                batch = [Block(bytes(study), number, 0, len(data), data) for number, data in found]
                if batch:
                    await ahead.send(batch)

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
