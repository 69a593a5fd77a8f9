"""Which studies stay: space is taken back by use, and never from the last copy.

One for every role. A study goes only when another member has proved that it holds the same bytes
(possession.py), and whoever is about to drop a study proves nothing of it, until it has dropped it.
So every proof was given before the prover itself began to look for one: members that drop a study
on each other's proofs cannot form a circle, and the last of them finds nobody, and keeps it. That
needs no promise that somebody could have us give, and none to survive a restart: who is started
anew has forgotten the proofs that it got, and drops nothing on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.bitfield import Bitfield
from p2pacs.errors import BusyError, CorruptStoreError, LocalError, NotFoundError
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB
from p2pacs.line.pacing import TokenBucket
from p2pacs.process.sparse_log import Sparse
from p2pacs.retention.eviction import EvictionCandidate, choose
from p2pacs.retention.possession import Challenge, holds_whole
from p2pacs.retention.proven_copies import ProvenCopies
from p2pacs.store import ChunkStore, StudyInfo
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Possession, PossessionQuery

log = structlog.get_logger(__name__)


@frozen
class RecyclerTuning:
    """When space is taken back, and how long a promise holds."""

    look_seconds: float = 60.0
    """Between two looks at how full the store is."""
    high: float = 0.95
    """Part of the capacity above which space is taken back ..."""
    low: float = 0.90
    """... until this part is left in use."""
    served_seconds: float = 120.0
    """A study that was used this long ago is being served: it stays."""
    proof_seconds: float = 300.0
    """So long a proof counts: what was proved long ago may have rotted since."""
    answer_seconds: float = 5.0
    """For a member to say whether it holds a study in whole ..."""
    proof_bytes_per_second: float = 10 * MIB
    """... and to prove it: what a busy disk reads at the least."""
    least: int = 16 * MIB
    """Bytes that are made free where that is possible: to ask for proofs again would be slow."""
    proofs: int = 1
    """Proofs made at the same time: each reads and hashes a whole study."""
    proof_burst: float = 65_536 * MIB
    """Bytes read to prove studies to one member, at once: a twentieth of 1.2 TiB ..."""
    proof_rate: float = 4 * MIB
    """... and each second after that: 345 GB a day, more than a member fetches."""
    proof_least: int = 4 * MIB
    """A demand counts as so many bytes at the least: of small studies, one a second."""


TUNING: Final = RecyclerTuning()


class Recycler:
    """Recycles the store of one member."""

    def __init__(
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        host: Host,
        store: ChunkStore,
        *,
        busy: Callable[[StudyId], bool],
        drop: Callable[[StudyId], Awaitable[None]],
        tuning: RecyclerTuning = TUNING,
    ) -> None:
        """A recycler that does nothing until it is asked.

        Args:
            identity: this member's.
            book: who else might hold a study.
            host: to ask them.
            store: what is recycled.
            busy: whether a study is published, fetched or read now.
            drop: removes a study and tells whom it concerns.
            tuning: when, and for how long.
        """
        self.tuning = tuning
        self.recycled = 0
        """Studies that were dropped since the start."""
        self._identity = identity
        self._book = book
        self._store = store
        self._busy = busy
        self._drop = drop
        self.copies = ProvenCopies(
            identity.address,
            book,
            host,
            store,
            answer_seconds=tuning.answer_seconds,
            bytes_per_second=tuning.proof_bytes_per_second,
        )
        """Finds who else holds what is held here."""
        self._one = trio.Lock()
        self._leaving: set[StudyId] = set()
        self._proving: Counter[StudyId] = Counter()
        self._asking: set[VirtualAddress] = set()
        self._spent: dict[VirtualAddress, TokenBucket] = {}
        self._sparse = Sparse()
        self._proofs = trio.CapacityLimiter(tuning.proofs)

    async def run(self) -> None:
        """Keep the store below its capacity, for ever; at once if there is no capacity."""
        while (capacity := self._store.capacity) is not None:
            if self._store.used > self.tuning.high * capacity:
                try:
                    await self.make_room(int(self._store.used - self.tuning.low * capacity))
                except LocalError as error:
                    log.warning("the store is not recycled", error=str(error))
            await trio.sleep(self.tuning.look_seconds)

    async def make_room(self, need: int) -> bool:
        """Drop what was not used for longest and is whole elsewhere; whether ``need`` came free.

        Nothing is dropped if that is not enough.
        """
        async with self._one:
            try:
                chosen = await self._choose(need)
                dropped = [info for info in chosen if await self._dropped(info)]
            finally:
                self._leaving.clear()
        return bool(chosen) and dropped == chosen

    async def _dropped(self, proven: StudyInfo) -> bool:
        """Drop a study, if it is as it was proven elsewhere and not in use; whether it is gone."""
        now = self._store.info(proven.study)
        if now is None or self._why_it_stays(now) or not _same(now, proven):
            return False
        try:
            await self._drop(proven.study)
        except LocalError as error:
            log.warning("a study cannot be dropped", study=proven.study.short, error=str(error))
            return False
        self.recycled += 1
        return True

    # ------------------------------------------------------------ proving to others

    async def answer(self, member: VirtualAddress, query: PossessionQuery) -> Possession:
        """Whether a study is whole here; proved of the chunks that the asker has, if demanded.

        Raises:
            BusyError: this member's last demand is not answered yet, or it has used up its budget.
            LocalError: the store cannot be read.
        """
        study = StudyId(query.study)
        if study in self._leaving:
            return _no(query)
        if not query.nonce:
            return Possession(query.id, await self._whole(query), b"")
        if member in self._asking:
            raise BusyError("one proof at a time: wait for the last one")
        numbers = Bitfield.from_bytes(query.have)
        info = self._store.info(study)
        if not numbers or info is None:
            return _no(query)  # a proof of nothing shows nothing
        self._charge(member, round(info.bytes * len(numbers) / max(1, info.chunks_held)))
        self._asking.add(member)
        self._proving[study] += 1  # it stays until the proof is made
        try:
            async with self._proofs:
                return await self._prove(member, numbers, query)
        finally:
            self._asking.discard(member)
            self._proving -= Counter([study])

    def _charge(self, member: VirtualAddress, size: int) -> None:
        now, tuning = trio.current_time(), self.tuning
        full = TokenBucket(tuning.proof_rate, burst=tuning.proof_burst, now=now)
        spent = self._spent.setdefault(member, full)
        if spent.delay(now):
            told = "a member demands proofs without end"
            self._sparse.warn(log, told, member, now, member=str(member))
            raise BusyError("too many proofs were demanded: demand fewer, later")
        spent.charge(max(size, tuning.proof_least), now)

    async def _whole(self, query: PossessionQuery) -> bool:
        study = StudyId(query.study)
        return await holds_whole(self._store, self._book.keys, study, query.version)

    async def _prove(
        self, member: VirtualAddress, numbers: Bitfield, query: PossessionQuery
    ) -> Possession:
        if not await self._whole(query):
            return _no(query)
        study = StudyId(query.study)
        challenge = Challenge(study, member, self._identity.address, numbers, query.nonce)
        try:
            proof = await challenge.prove(await self._store.study(study))
        except (NotFoundError, CorruptStoreError) as error:
            told, now = "a proof cannot be given", trio.current_time()
            self._sparse.warn(log, told, member, now, study=study.short, error=str(error))
            return _no(query)
        return Possession(query.id, whole=True, proof=proof)

    # ------------------------------------------------------------ deciding

    async def _choose(self, need: int) -> list[StudyInfo]:
        """Look for proof of other copies, longest unused first, until it is enough."""
        proven: dict[StudyId, tuple[float, StudyInfo]] = {}
        stay: Counter[str] = Counter()
        for study in [i.study for i in sorted(self._store.studies(), key=lambda i: i.last_used)]:
            info = self._store.info(study)
            if info is None:
                continue
            if why := self._why_it_stays(info):
                stay[why] += 1
                continue
            self._leaving.add(study)
            began = trio.current_time()
            if await self.copies.count(info):
                proven[study] = began, info
            else:
                stay["not_proved_elsewhere"] += 1
            oldest = trio.current_time() - self.tuning.proof_seconds
            proven = {one: (at, info) for one, (at, info) in proven.items() if at > oldest}
            if chosen := _choice(proven, max(need, self.tuning.least)):
                return chosen
        chosen = _choice(proven, need)
        if not chosen:
            free = sum(info.bytes for _, info in proven.values())
            log.warning("nothing may be recycled: too little may go", need=need, free=free, **stay)
        return chosen

    def _why_it_stays(self, info: StudyInfo) -> str | None:
        """Why a study stays whoever else holds it; None if nothing speaks for it."""
        if info.pinned:
            return "pinned"
        if self._busy(info.study):
            return "in_use"
        unused = self._store.writer.now() - info.last_used
        if 0 <= unused < self.tuning.served_seconds:  # less than 0: the clock was ahead then
            return "used_just_now"
        return "being_proved_to_others" if self._proving[info.study] > 0 else None


def _same(now: StudyInfo, proven: StudyInfo) -> bool:
    """Whether a study is as it was when it was proven elsewhere."""
    held = (proven.version, proven.chunks_held, proven.bytes)
    return (now.version, now.chunks_held, now.bytes) == held


def _choice(proven: dict[StudyId, tuple[float, StudyInfo]], need: int) -> list[StudyInfo]:
    candidates = [
        EvictionCandidate(one.study, one.bytes, one.last_used, one.pinned, copies=1)
        for _, one in proven.values()
    ]
    return [proven[study][1] for study in choose(candidates, need)]


def _no(query: PossessionQuery) -> Possession:
    return Possession(query.id, whole=False, proof=b"")
