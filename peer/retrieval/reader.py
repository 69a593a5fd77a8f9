"""All studies that are read at this peer: one `StudyFetch` each, shared by its readers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial

import structlog
import trio
from attrs import frozen

from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.groups import single_error
from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import KeyUnavailableError, NotFoundError, P2PacsError
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase
from p2pacs.retention.possession import holds_whole
from p2pacs.store import ChunkStore
from p2pacs.study.manifest import load_root, load_segment
from p2pacs.swarm.download.downloads import Downloads
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.workers.coding import Workers
from peer.retrieval.audit import AuditedRead, AuditQueue, ReadEnding, ReadOutcome
from peer.retrieval.instances.decode_ahead import DecodeAhead
from peer.retrieval.instances.decoded_cache import DecodedCache
from peer.retrieval.instances.instance_reader import InstanceReader
from peer.retrieval.instances.live_index import LiveIndex
from peer.retrieval.instances.recent import open_recent
from peer.retrieval.instances.viewport import ViewRequest
from peer.retrieval.requester import Requester
from peer.retrieval.sources.arrival import TUNING as ARRIVING
from peer.retrieval.sources.arrival import ArrivalTuning
from peer.retrieval.sources.resolve import ResolvedStudy, Resolver, blind
from peer.retrieval.sources.supply import Supply
from peer.retrieval.study_fetch import StudyFetch


@frozen
class ReaderTuning:
    """What `StudyReads` goes by."""

    loading: float = 10.0
    """Seconds for the index of a study that is all here."""

    kept: int = 8
    """Idle studies whose index stays in memory, so that the next reader need not load it again."""

    arrival: ArrivalTuning = ARRIVING
    """How each study comes."""


log = structlog.get_logger(__name__)


class StudyReads:
    """Opens studies for reading: asks for the right to, writes the audit, starts the transfer."""

    def __init__(
        self,
        downloads: Downloads,
        keys: Verifier,
        store: ChunkStore,
        resolver: Resolver,
        *,
        workers: Workers,
        audit: AuditQueue,
        began: Callable[[Transfer], None],
        asked: Callable[[StudyFetch, Requester], None],
        make_room: Callable[[int], Awaitable[bool]],
        decoded: DecodedCache | None = None,
        decode_ahead: bool = False,
    ) -> None:
        """Nothing is read before `open`.

        Args:
            downloads: fetches studies.
            keys: of the brokers, which sign manifests.
            store: where chunks are.
            resolver: says who has a study and gives its key.
            workers: decode images.
            audit: who reads what.
            began: told of every transfer.
            asked: told what somebody asked for.
            make_room: recycles so many bytes; whether they came free.
            decoded: keeps what workers decoded.
            decode_ahead: whether they decode what has come before somebody reads it.
        """
        self.tuning = ReaderTuning()
        """What it goes by."""
        self._downloads = downloads
        self._keys = keys
        self._store = store
        self._resolver = resolver
        self._workers = workers
        self._audit = audit
        self._began = began
        self._asked = asked
        self._make_room = make_room
        self._decoded = decoded
        self._fetches: dict[StudyId, StudyFetch] = {}
        self._followed: set[StudyFetch] = set()
        self._ahead: DecodeAhead | None = None
        if decoded is not None and decoded.capacity and decode_ahead:
            self._ahead = DecodeAhead(decoded, workers, self._is_read)
        self._coming: set[StudyFetch] = set()
        """What will be decoded once it is here."""
        self._tasks = Tasks()
        self._one = trio.Lock()

    async def run(self) -> None:
        """Read the index of what somebody waits for until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._tasks.run)
            if self._ahead is not None:
                room = self._ahead.most
                last = sorted(self._store.studies(), key=lambda one: one.last_used, reverse=True)
                recent = [one.study for one in last]
                nursery.start_soon(open_recent, recent, self._open_recent, self._is_busy, room)

    async def _open_recent(self, study: StudyId) -> StudyFetch | None:
        record = await self._resolver.listed(study)
        return None if record is None else await self.held(record, used=False)

    def _is_busy(self) -> bool:
        transfers = self._downloads.transfers.values()
        return self._is_read() or any(one.state is TransferState.FETCHING for one in transfers)

    @property
    def fetches(self) -> list[StudyFetch]:
        """Studies that are, or lately were, read here."""
        return list(self._fetches.values())

    def has(self, fetch: StudyFetch) -> bool:
        """Whether it is one of those."""
        return self._fetches.get(fetch.study) is fetch

    async def open(self, study_instance_uid: str, requester: Requester) -> StudyFetch:
        """Begin to read a study, or go on.

        Args:
            study_instance_uid: as the catalogue has it.
            requester: who reads; the audit tells.

        Raises:
            StudyNotFoundError: nobody knows it, as far as this peer may know.
            ForbiddenError: the access rule does not allow it.
            KeyUnavailableError: no key is held and the broker is away.
        """
        record = await self._resolver.record(study_instance_uid)
        found = await self._admit(record, requester)
        await self._audit.record(record.study, caller=requester.caller, purpose=requester.audited)
        fetch = await self._begin(found, requester)
        self._asked(fetch, requester)
        return fetch

    async def open_audited(
        self,
        study_instance_uid: str,
        requester: Requester,
        told: Callable[[StudyRecord], None] = lambda _: None,
    ) -> tuple[StudyFetch, AuditedRead]:
        """As `open`, where `end` will say what became of it.

        Args:
            study_instance_uid: as the catalogue has it.
            requester: who reads; the audit tells.
            told: what the catalogue says of it, for who needs that anyway.

        Raises:
            P2PacsError: as `open`.
        """
        record = await self._resolver.record(study_instance_uid)
        told(record)
        admit = partial(self._admit, record, requester)
        read, found = await self._audit.begin_while(
            record.study, admit, caller=requester.caller, purpose=requester.audited
        )
        ending = ReadEnding(ReadOutcome.INTERRUPTED, 0, 0)
        with ExitStack() as otherwise:
            otherwise.callback(lambda: self._audit.end(read, ending))
            try:
                fetch = await self._begin(found, requester)
            except P2PacsError:
                ending = ReadEnding(ReadOutcome.FAILED, 0, 0)
                raise
            otherwise.pop_all()
        self._asked(fetch, requester)
        return fetch, read

    async def open_again(
        self,
        study_instance_uid: str,
        fetch: StudyFetch,
        requester: Requester,
        told: Callable[[StudyRecord], None],
    ) -> AuditedRead:
        """As `open_audited` of what this requester was given just now, and all of which is here:
        the broker is not asked.

        Raises:
            StudyNotFoundError: the catalogue has it no more, as far as this peer may read it.
            RevokedError: this member was revoked.
            DiskFullError: that it is read cannot be written down.
        """
        record = await self._resolver.record(study_instance_uid)
        told(record)
        read = await self._audit.begin(
            record.study, caller=requester.caller, purpose=requester.audited
        )
        if self.has(fetch):  # it is the last one from now on
            self._fetches[fetch.study] = self._fetches.pop(fetch.study)
        (await self._store.study(fetch.study)).touch()
        self._asked(fetch, requester)
        return read

    def end(self, read: AuditedRead, ending: ReadEnding) -> None:
        """What became of a read; the audit tells."""
        self._audit.end(read, ending)

    async def resume(self, study: StudyId, requester: Requester, *, least: int = 0) -> StudyFetch:
        """Go on with what somebody asked for before; that they read it is in the audit.

        Args:
            study: which.
            requester: who asked.
            least: a version that is known to be out. Where the broker does not have it yet, who
                has the study is asked: what is here may be whole as an older one, and then nobody
                would look for more.

        Raises:
            P2PacsError: as `open`.
        """
        found = await self._find(study, requester)
        if found.version < least and self._store.holds(study):
            found = await self._resolver.newer(found)
        return await self._begin(found, requester)

    async def _admit(self, record: StudyRecord, requester: Requester) -> ResolvedStudy:
        """Ask for the right to read. Of a study that is all here the index is read meanwhile, of
        which nobody is given anything before: right after a start it took as long as the broker.

        Raises:
            P2PacsError: as `open`; what was read so is forgotten.
        """
        study = record.study
        is_new = study not in self._fetches
        try:
            with single_error():
                async with trio.open_nursery() as nursery:
                    if is_new:
                        nursery.start_soon(self._look_ahead, record)
                    found = await self._find(study, requester)
                    nursery.cancel_scope.cancel()
        except P2PacsError:
            if is_new and not self.in_use(study):
                self.forget(study)
            raise
        return found

    async def _look_ahead(self, record: StudyRecord) -> None:
        try:
            await self.held(record)
        except P2PacsError as error:  # who reads it is told
            log.debug("its index is not read ahead", study=record.study.short, why=str(error))

    async def _find(self, study: StudyId, requester: Requester) -> ResolvedStudy:
        found = await self._resolver.find(study, requester.purpose)
        if found.key is None:
            raise blind()
        return found

    async def _begin(
        self, found: ResolvedStudy, requester: Requester, *, used: bool = True
    ) -> StudyFetch:
        study = found.study
        async with self._one:
            fetch = self._fetches.get(study)
            if fetch is None:
                if found.key is None:
                    raise blind()
                chunks = await self._store.study(study)
                index = LiveIndex(found.key, chunks)
                instances = InstanceReader(index, chunks, self._workers, self._decoded)
                again = partial(self._resolver.find, study, requester.purpose)
                supply = Supply(self.start, again, self._make_room)
                fetch = StudyFetch(study, index, instances, supply, self.tuning.arrival)
                priority = requester.priority
            elif fetch.fetching:
                priority = max(fetch.priority, requester.priority)
            else:
                priority = requester.priority
            await self._keep_beginning(found)
            if used:
                (await self._store.study(study)).touch()
            fetch.begin(found, priority)
            self._lead(fetch)
            self._prepare(fetch)
            self._fetches.pop(study, None)  # it is the last one from now on
            self._fetches[study] = fetch
            self._forget_idle()
        return fetch

    async def _keep_beginning(self, found: ResolvedStudy) -> None:
        """The list of a new study's first chunks came with its grant: nobody need be asked.

        Raises:
            ManifestError: it is not what the root names, or the root is not the broker's.
        """
        chunks = await self._store.study(found.study)
        if found.root and found.segment and chunks.root is None:
            root = load_root(found.root, self._keys, found.study)
            segment = load_segment(found.segment, root, 0)
            await chunks.put_segment(root.segments[0], segment.raw)

    async def held(self, record: StudyRecord, *, used: bool = True) -> StudyFetch | None:
        """The study with its whole index, if all of it is here and may be read; for queries.

        Nobody is asked and nothing is fetched.

        Args:
            record: of the study.
            used: whether somebody uses it: then it is recycled later.
        """
        if record.study not in self._fetches:
            version = max(1, record.version)
            if not await holds_whole(self._store, self._keys, record.study, version):
                return None
            try:
                key = await self._resolver.held_key(record.study)
            except KeyUnavailableError:
                return None
            found = ResolvedStudy(record.study, key, None, 0, (), broker=False)
            await self._begin(found, Requester("", "get"), used=used)
        fetch = self._fetches[record.study]
        with trio.move_on_after(self.tuning.loading):
            while not fetch.settled and fetch.transfer.state is not TransferState.FAILED:
                before = fetch.mark()
                await fetch.refresh()
                if not fetch.settled:
                    await fetch.changed(before)
        return fetch if fetch.settled else None

    def get(self, study: StudyId) -> StudyFetch:
        """A study that was opened.

        Raises:
            NotFoundError: it was not, or not for long.
        """
        if study not in self._fetches:
            raise NotFoundError(
                Phrase("study %(study)s is not being read: fetch it first", study=study.short)
            )
        return self._fetches[study]

    def look(self, study: StudyId, request: ViewRequest | None) -> tuple[int, int]:
        """Somebody looks at a part of a study that was opened: this comes first from now on.

        Args:
            study: which.
            request: instead of what was looked at before; None: nothing any more.

        Returns:
            Instances that it names and that are known already, and instances known in all.

        Raises:
            NotFoundError: it was not opened, or not for long.
        """
        fetch = self.get(study)
        count = fetch.look(request)
        self._lead(fetch)
        return count, len(fetch.known)

    def _lead(self, fetch: StudyFetch) -> None:
        """Have its index read as it comes, if somebody waits for it: its order is in there."""
        if fetch.awaited and fetch not in self._followed and self._tasks.running:
            self._followed.add(fetch)
            self._tasks.start(self._follow, fetch)

    def _prepare(self, fetch: StudyFetch) -> None:
        """Have it decoded, once it is here and nobody reads, for who will."""
        if self._ahead is not None and fetch not in self._coming and self._tasks.running:
            self._coming.add(fetch)
            self._tasks.start(self._decode, self._ahead, fetch)

    async def _decode(self, ahead: DecodeAhead, fetch: StudyFetch) -> None:
        try:
            await fetch.ended()
            await ahead.decode(fetch)
        finally:
            self._coming.discard(fetch)

    def _is_read(self) -> bool:
        return any(fetch.users for fetch in self._fetches.values())

    async def _follow(self, fetch: StudyFetch) -> None:
        try:
            await fetch.follow()
        except P2PacsError as error:  # whoever reads it is told
            log.info("what is looked at is not known", study=fetch.study.short, error=str(error))
        finally:
            self._followed.discard(fetch)

    def prioritise(self, study: StudyId, priority: Priority) -> None:
        """A transfer is more, or less, urgent from now on.

        Raises:
            NotFoundError: there is none.
        """
        if fetch := self._fetches.get(study):
            fetch.prioritise(priority)
            self._lead(fetch)
        elif transfer := self._downloads.transfers.get(study):
            transfer.prioritise(priority)
        else:
            raise NotFoundError(Phrase("study %(study)s is not being fetched", study=study.short))

    def end_order(self, study: StudyId, *, cancelled: bool) -> None:
        """The broker wants a study fetched no more.

        Args:
            study: which.
            cancelled: whether who sends it sends no more; else whoever reads it here goes on.
        """
        if (fetch := self._fetches.get(study)) is None:
            return
        if cancelled:
            fetch.cancelled()
        elif not fetch.users:
            fetch.give_up()

    def in_use(self, study: StudyId) -> bool:
        """Whether somebody reads it now."""
        return study in self._fetches and self._fetches[study].users > 0

    def forget(self, study: StudyId) -> None:
        """The study was recycled: what was known of it is gone, too."""
        self._fetches.pop(study, None)

    def _forget_idle(self) -> None:
        idle = [
            study
            for study, fetch in self._fetches.items()
            if not fetch.users and not fetch.fetching
        ]
        for study in idle[: -self.tuning.kept or None]:
            del self._fetches[study]

    def start(self, found: ResolvedStudy, priority: Priority) -> Transfer:
        """Fetch a study, or go on fetching it."""
        transfer = self._downloads.fetch(
            found.study, holders=found.holders, root=found.root, priority=priority
        )
        self._began(transfer)
        return transfer
