"""Which studies stay: space is taken back by use, and never from the last copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB
from p2pacs.retention.eviction import EvictionCandidate, choose
from p2pacs.retention.possession import answer_whole
from p2pacs.store import ChunkStore, StudyInfo
from p2pacs.swarm.node import Node
from p2pacs.wire.messages import Possession, PossessionQuery

LOOK: Final = 60.0
"""Seconds between two looks at how full the store is."""

HIGH: Final = 0.95
"""Part of the capacity above which space is taken back ..."""

LOW: Final = 0.90
"""... until this part is left in use."""

SERVED: Final = 120.0
"""A study that was used this many seconds ago is being served: it stays."""

PROMISED: Final = 600.0
"""Seconds for which a study stays after another member was told that it is whole here: that
member may drop its own copy."""

ANSWER: Final = 5.0
"""Seconds for a member to say whether it holds a study in whole."""

LEAST: Final = 16 * MIB
"""Bytes that are made free where that is possible, so that it is not asked for again at once."""

log = structlog.get_logger(__name__)


class Recycler:
    """Recycles the store of one member."""

    def __init__(
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        node: Node,
        store: ChunkStore,
        *,
        busy: Callable[[StudyId], bool],
        drop: Callable[[StudyId], Awaitable[None]],
    ) -> None:
        """A cache that does nothing until it is asked.

        Args:
            identity: this member's.
            book: who else might hold a study.
            node: to ask them.
            store: what is recycled.
            busy: whether a study is fetched or read now.
            drop: removes a study and tells whom it concerns.
        """
        self._identity = identity
        self._book = book
        self._node = node
        self._store = store
        self._busy = busy
        self._drop = drop
        self._one = trio.Lock()
        self._leaving: set[StudyId] = set()
        self._promised: dict[StudyId, float] = {}

    async def run(self) -> None:
        """Keep the store below its capacity, for ever; at once if there is no capacity."""
        while (capacity := self._store.capacity) is not None:
            if self._store.used > HIGH * capacity:
                await self.make_room(int(self._store.used - LOW * capacity))
            await trio.sleep(LOOK)

    async def make_room(self, need: int) -> bool:
        """Drop what was not used for longest and is whole elsewhere; whether ``need`` came free.

        Nothing is dropped if that is not enough.
        """
        async with self._one:
            try:
                chosen = await self._choose(need)
                for study in chosen:
                    await self._drop(study)
            finally:
                self._leaving.clear()
        if not chosen:
            log.warning("nothing may be recycled: no study that is whole elsewhere", need=need)
        return bool(chosen)

    async def answer(self, _member: VirtualAddress, query: PossessionQuery) -> Possession:
        """Whether a study is whole here and stays: another member would drop its copy."""
        study = StudyId(query.study)
        # Two members that ask each other at once must not both drop theirs.
        if study in self._leaving:
            return Possession(query.id, whole=False)
        self._promised[study] = trio.current_time()
        reply = await answer_whole(self._store, self._identity.broker_key, query)
        if not reply.whole:
            del self._promised[study]
        return reply

    # ------------------------------------------------------------ deciding

    async def _choose(self, need: int) -> list[StudyId]:
        """Look for proof of other copies, longest unused first, until it is enough."""
        proven: list[EvictionCandidate] = []
        for info in sorted(self._store.studies(), key=lambda one: one.last_used):
            if self._stays(info):
                continue
            self._leaving.add(info.study)
            copies = await self._copies(info)
            if copies and not self._stays(info):
                proven.append(
                    EvictionCandidate(info.study, info.bytes, info.last_used, False, copies)
                )
            if chosen := choose(proven, max(need, LEAST)):
                return chosen
        return choose(proven, need)

    def _stays(self, info: StudyInfo) -> bool:
        promised = self._promised.get(info.study)
        kept = promised is not None and trio.current_time() - promised < PROMISED
        served = self._store.writer.now() - info.last_used < SERVED
        return info.pinned or kept or served or self._busy(info.study)

    async def _copies(self, info: StudyInfo) -> int:
        """How many members say that they hold it in whole: 1 is enough to know."""
        found = 0

        async def ask(member: VirtualAddress) -> None:
            nonlocal found
            query = PossessionQuery(0, info.study.raw, max(1, info.version))
            try:
                reply = await self._node.call(member, query, timeout=ANSWER)
            except P2PacsError as error:
                log.debug("no proof of a copy", member=str(member), error=str(error))
                return
            if isinstance(reply, Possession) and reply.whole:
                found += 1
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for member in self._book.directory.members:
                if member.address != self._identity.address and not member.revoked:
                    nursery.start_soon(ask, member.address)
        return found
