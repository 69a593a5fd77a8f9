"""Which other members prove that they hold a study: asked of all, and demanded of who claims it."""

from __future__ import annotations

import math
from hmac import compare_digest

import structlog
import trio

from p2pacs.errors import CorruptStoreError, NotFoundError, P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.retention.possession import Challenge, holds_whole
from p2pacs.store import ChunkStore, StudyInfo
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Possession, PossessionQuery

log = structlog.get_logger(__name__)


class ProvenCopies:
    """Looks for copies of what one member holds."""

    def __init__(
        self,
        address: VirtualAddress,
        book: DirectoryBook,
        host: Host,
        store: ChunkStore,
        *,
        answer_seconds: float,
        bytes_per_second: float,
    ) -> None:
        """Nothing is asked yet.

        Args:
            address: this member's.
            book: who else might hold a study.
            host: to ask them.
            store: what proofs are compared with.
            answer_seconds: for a member to say whether it holds a study in whole ...
            bytes_per_second: ... and to prove it: what a busy disk reads at the least.
        """
        self._address = address
        self._book = book
        self._host = host
        self._store = store
        self._answer_seconds = answer_seconds
        self._bytes_per_second = bytes_per_second

    async def count_whole(self, study: StudyId, version: int, wanted: int) -> int:
        """How many members prove that they hold all of that version, or of a newer one; 0 if it
        is not here in whole, as there is nothing to compare a proof with then.

        Args:
            study: which.
            version: at least.
            wanted: no more are looked for.

        Raises:
            LocalError: the store cannot be read.
        """
        info = self._store.info(study)
        if info is None or not await holds_whole(self._store, self._book.keys, study, version):
            return 0
        return await self.count(info, wanted)

    async def count(self, info: StudyInfo, wanted: int = 1) -> int:
        """How many members prove that they hold the bytes that are held here.

        Args:
            info: what is here.
            wanted: no more are looked for.
        """
        send, receive = trio.open_memory_channel[VirtualAddress](math.inf)
        found = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._find_claims, info, send)
            async for member in receive:
                found += await self._proves(member, info)
                if found >= wanted:
                    nursery.cancel_scope.cancel()
                    break
        return found

    async def _find_claims(
        self, info: StudyInfo, found: trio.MemorySendChannel[VirtualAddress]
    ) -> None:
        """Ask all members whether they hold a study, at the same time."""
        query = PossessionQuery(0, info.study.raw, max(1, info.version), b"", b"")
        others = [
            member.address
            for member in self._book.directory.members
            if member.address != self._address and not member.revoked
        ]
        async with found, trio.open_nursery() as nursery:
            for member in others:
                nursery.start_soon(self._claims, member, query, found)

    async def _claims(
        self,
        member: VirtualAddress,
        query: PossessionQuery,
        found: trio.MemorySendChannel[VirtualAddress],
    ) -> None:
        if await self._ask(member, query, self._answer_seconds) is not None:
            await found.send(member)

    async def _proves(self, member: VirtualAddress, info: StudyInfo) -> bool:
        """Demand a proof of a member that claims to hold a study."""
        chunks = await self._store.study(info.study)
        challenge = Challenge.fresh(info.study, self._address, member, chunks.have)
        try:
            expected = await challenge.prove(chunks)
        except (NotFoundError, CorruptStoreError) as error:
            log.warning("a study here is not sound", study=info.study.short, error=str(error))
            return False
        have = bytes(challenge.numbers)
        query = PossessionQuery(0, info.study.raw, max(1, info.version), have, challenge.nonce)
        seconds = self._answer_seconds + info.bytes / self._bytes_per_second
        reply = await self._ask(member, query, seconds)
        if reply is not None and not compare_digest(expected, reply.proof):
            log.error("a member proves wrongly what it holds", member=str(member))
            return False
        return reply is not None

    async def _ask(
        self, member: VirtualAddress, query: PossessionQuery, seconds: float
    ) -> Possession | None:
        """What a member says that holds the study in whole; None of another."""
        try:
            reply = await self._host.call(member, query, timeout=seconds)
        except P2PacsError as error:
            log.debug("no proof of a copy", member=str(member), error=str(error))
            return None
        return reply if isinstance(reply, Possession) and reply.whole else None
