"""Studies that members send are forwarded: the broker fetches them and stores them in the PACS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import structlog
import trio
from attrs import define, field, frozen

from broker.database.db import BrokerDatabase
from broker.ingest.adoption import WholeInstances, end_adoption, whole_instances
from broker.ingest.arriving import ArrivingInstances
from broker.ingest.sending import SendingStudies
from broker.ingest.sent import find_sent, list_cancelled, list_sending, note_stored
from broker.ingest.storing import DecodeLarge, Storing
from broker.pacs.adapter import PacsAdapter
from broker.trail import audit
from p2pacs.concurrency.groups import single_error
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    DiskFullError,
    P2PacsError,
    ProtocolError,
    UnavailableError,
)
from p2pacs.identity.keys import StudyKey, Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB
from p2pacs.publish.previous import load_published
from p2pacs.retention.possession import holds_whole
from p2pacs.store import ChunkStore
from p2pacs.study.gathered import Gathered
from p2pacs.study.reader import StudyReader
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Query, Reply

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 20.0
"""For a member to tell the newest root of its study."""


@frozen
class ForwardingTuning:
    """How studies are forwarded."""

    batch_bytes: int = 16 * MIB
    """Of data sets that are stored in the PACS at once: all that is in memory of a study."""
    remembered: int = 64
    """Studies of which it is known what the PACS gave back: instances that come late are compared
    alone."""
    retry_seconds: float = 30.0
    """After something failed: a PACS that is away, a member whose line is cut."""
    adopt_seconds: float = 10.0
    """Between two looks which studies are adopted: another program writes it down."""
    index_seconds: float = 10.0
    """For the index of a study that was cancelled: its last part may be on the line."""
    gather_seconds: float = 600.0
    """For members that have more of an adopted study to give it."""


class FetchedStudies(Protocol):
    """Who fetches studies (`p2pacs.swarm.download.downloads.Downloads`)."""

    @property
    def transfers(self) -> Mapping[StudyId, Transfer]:
        """The last transfer of each study."""

    def fetch(
        self,
        study: StudyId,
        holders: Iterable[VirtualAddress] = (),
        root: bytes | None = None,
    ) -> Transfer:
        """Fetch a study, or go on with it."""


class AskMember(Protocol):
    """Asks a member (`p2pacs.swarm.host.Host.call`)."""

    async def __call__(
        self,
        member: VirtualAddress,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Its reply."""


class StudyKeyOf(Protocol):
    """Keys of studies (`broker.study_keys.StudyKeys`)."""

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        """The key of a study."""


@frozen
class ForwardingParts:
    """What it works with."""

    database: BrokerDatabase
    store: ChunkStore
    verifier: Verifier
    pacs: PacsAdapter
    decode: Callable[[Gathered], Awaitable[EncodedInstance]]
    """Makes an instance of its coded blobs, verified (`p2pacs.workers.coding.Workers.decode`)."""
    decode_large: DecodeLarge
    studies: StudyKeyOf
    sending: SendingStudies
    downloads: FetchedStudies
    holders: Callable[[StudyId], Iterable[VirtualAddress]]
    """Members that have something of a study."""
    ask: AskMember
    make_room: Callable[[], Awaitable[bool]]
    """Recycles something in the store; whether anything came free."""
    stored: Callable[[str, bool], None]
    """The PACS has all of a study (its UID): from now on it is as any other of the PACS. Also
    whether it changed something of what it was given."""


@define(eq=False)
class _Forwarded:
    """A study that is being brought home."""

    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: trio.Event = field(factory=trio.Event)


class Forwarding:
    """Fetches, verifies and stores. `run` must be running."""

    def __init__(
        self, parts: ForwardingParts, tuning: ForwardingTuning = ForwardingTuning()
    ) -> None:
        self._parts = parts
        self.tuning = tuning
        self._holders: dict[StudyId, VirtualAddress] = {}
        self._wanted: set[StudyId] = set()
        self._running: dict[StudyId, _Forwarded] = {}
        self._adopted: set[StudyId] = set()
        decode, large = parts.decode, parts.decode_large
        self._storing = Storing(
            parts.pacs,
            decode,
            large,
            tuning.batch_bytes,
            tuning.remembered,
            record=self._record,
        )
        self._told: dict[StudyId, str] = {}
        """Why a study is not in the PACS yet: the log says it once, its member whenever it asks."""
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward what is wanted until cancelled, beginning with what is not in the PACS yet."""
        parts = self._parts
        unfinished = await parts.database.persist(list_sending)
        cancelled = await parts.database.persist(list_cancelled)
        parts.sending.fill(one.study for one in [*unfinished, *cancelled])
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for one in unfinished:
                    if one.version and not one.adopted:
                        self.wanted(one.study, one.member)
                task_status.started()
                while True:
                    await self._look_for_adopted()
                    await trio.sleep(self.tuning.adopt_seconds)
        finally:
            self._nursery = None

    async def _look_for_adopted(self) -> None:
        for one in await self._parts.database.persist(list_sending):
            if one.adopted and one.study not in self._adopted:
                self._adopted.add(one.study)
                transfer = self._parts.downloads.transfers.get(one.study)
                if transfer is not None:  # it may wait for the member that is gone
                    transfer.cancel()
                self.wanted(one.study, one.member)

    def expected(self, study: StudyId, member: VirtualAddress) -> None:
        """This member may publish a study: its chunks are asked for as soon as its first version
        is out, and not after it was reported, listed and asked for. Where none comes, the transfer
        gives up, and nothing follows from it."""
        if study not in self._running:
            self._parts.downloads.fetch(study, [member])

    def wanted(self, study: StudyId, member: VirtualAddress) -> None:
        """There is a version to fetch, which this member has."""
        self._holders[study] = member
        self._wanted.add(study)
        if study not in self._running and self._nursery is not None:
            self._running[study] = _Forwarded()
            self._nursery.start_soon(self._work, study)
        elif (transfer := self._parts.downloads.transfers.get(study)) is not None:
            transfer.add_holders([member])

    def urged(self, study: StudyId, priority: Priority) -> None:
        """Its sender says how urgent a study is: it is fetched so from now on, before others on the
        sender's line, too."""
        if (transfer := self._parts.downloads.transfers.get(study)) is not None:
            transfer.prioritise(priority)

    async def stop(self, study: StudyId) -> None:
        """Its member sends no more of a study: fetch and store nothing more of it; returns when
        that is so. Its index comes still, so that what is home can be published by itself."""
        self._wanted.discard(study)
        if (running := self._running.get(study)) is not None:
            running.scope.cancel()
            await running.ended.wait()
        transfer = self._parts.downloads.transfers.get(study)
        if transfer is not None and transfer.state is TransferState.FETCHING:
            if transfer.root is not None:
                numbers = [number for part in transfer.root.parts for number in part.numbers]
                with trio.move_on_after(self.tuning.index_seconds), suppress(P2PacsError):
                    await transfer.wait_chunks(numbers)
            transfer.cancel()

    def is_busy(self, study: StudyId) -> bool:
        """Whether a study is on its way, and must stay in the store."""
        return study in self._running or study in self._parts.sending

    async def held(self, study: StudyId) -> int:
        """The newest version that the broker holds in whole; 0 for none."""
        parts = self._parts
        with suppress(P2PacsError):
            if await holds_whole(parts.store, parts.verifier, study, 1):
                files = await parts.store.study(study)
                return files.version
        return 0

    def why(self, study: StudyId) -> str:
        """Why the last try failed to bring a study into the PACS; empty: none did."""
        return self._told.get(study, "")

    async def _work(self, study: StudyId) -> None:
        running = self._running[study]
        try:
            with running.scope:
                while study in self._wanted:
                    self._wanted.discard(study)
                    await self._try(study)
        finally:
            del self._running[study]
            running.ended.set()
            self._holders.pop(study, None)
            self._told.pop(study, None)
            if study not in self._parts.sending:
                self._adopted.discard(study)

    async def _try(self, study: StudyId) -> None:
        """Bring home what there is of a study; what fails is wanted again."""
        try:
            if study in self._adopted:
                await self._adopt(study)
            else:
                await self._fetch(study)
                await self._forward(study)
        except DiskFullError as error:
            log.warning("no room for a study that is sent", study=study.short)
            if not await self._parts.make_room():
                await self._later(study, error)
            self._wanted.add(study)
        except P2PacsError as error:
            await self._later(study, error)

    async def _later(self, study: StudyId, error: P2PacsError) -> None:
        if self._told.get(study) != str(error):
            self._told[study] = str(error)
            log.warning("a study is not in the PACS yet", study=study.short, why=str(error))
        await trio.sleep(self.tuning.retry_seconds)
        if study in self._parts.sending:
            self._wanted.add(study)

    # ------------------------------------------------------------ out of the swarm

    async def _fetch(self, study: StudyId) -> None:
        """Until the newest version that the member has told of is here, and nothing more came."""
        parts, member = self._parts, self._holders[study]
        known = await parts.database.run(lambda c: find_sent(c, study))
        priority = Priority.INTERACTIVE if known is None else known.priority
        transfer = parts.downloads.transfers.get(study)
        if transfer is None or transfer.state is not TransferState.FETCHING:
            root = await self._newest(study, member)
            if root is None and await holds_whole(parts.store, parts.verifier, study, 1):
                return
            transfer = parts.downloads.fetch(study, [member], root)
        transfer.prioritise(priority)
        transfer.add_holders([member])
        with single_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._store_arriving, transfer)
                await transfer.wait_complete()

    async def _store_arriving(self, transfer: Transfer) -> None:
        """What is whole goes into the PACS, while the rest still comes."""
        parts, study = self._parts, transfer.study
        known = await parts.database.run(lambda c: find_sent(c, study))
        if known is not None and known.sending and transfer.state is TransferState.FETCHING:
            files, key = await parts.store.study(study), await parts.studies.ensure(known.uid)
            arriving = ArrivingInstances(transfer, files, key, parts.pacs, parts.decode)
            await arriving.run(known.uid)

    async def _newest(self, study: StudyId, member: VirtualAddress) -> bytes | None:
        """The member's root, if it is newer than what is here. Where the member is away, others
        that fetch the study may have it: it is fetched all the same."""
        held = 0
        if self._parts.store.holds(study):
            held = (await self._parts.store.study(study)).version
        query = messages.ManifestQuery(0, study.raw, held)
        try:
            reply = await self._parts.ask(member, query, timeout=ANSWER_SECONDS)
        except P2PacsError as error:
            log.info("the sender does not answer", study=study.short, why=str(error))
            return None
        if not isinstance(reply, messages.Manifest):
            raise ProtocolError("not the answer to the question")
        return reply.root or None

    # ------------------------------------------------------------ without its sender

    async def _adopt(self, study: StudyId) -> None:
        """Store what is whole of a study whose sender is gone, and leave it to the PACS."""
        parts = self._parts
        known = await parts.database.run(lambda c: find_sent(c, study))
        if known is None:
            return
        await self._gather(study)
        found: WholeInstances | None = None
        if parts.store.holds(study):
            files, key = await parts.store.study(study), await parts.studies.ensure(known.uid)
            found = await whole_instances(files, key, parts.verifier)
        if found is not None:
            await self._storing.bring_home(known, found.reader, files, found.entries)
        await parts.database.run(lambda c: end_adoption(c, known, found))
        count, lost = (0, 0) if found is None else (len(found.entries), found.lost)
        log.warning("a study was adopted", study=study.short, instances=count, lost=lost)
        parts.sending.discard(study)
        parts.stored(known.uid, True)

    async def _gather(self, study: StudyId) -> None:
        """Fetch what others have, as far as they give it in good time."""
        parts = self._parts
        holders = list(parts.holders(study))
        if not holders or await holds_whole(parts.store, parts.verifier, study, 1):
            return
        transfer = parts.downloads.fetch(study, holders)
        with trio.move_on_after(self.tuning.gather_seconds), suppress(UnavailableError):
            await transfer.wait_complete()
        transfer.cancel()

    # ------------------------------------------------------------ into the PACS

    async def _record(self, entry: audit.Entry) -> None:
        await self._parts.database.run(lambda c: audit.record(c, entry))

    async def _forward(self, study: StudyId) -> None:
        """Store all instances of the newest version in the PACS, and see that it has them."""
        parts = self._parts
        known = await parts.database.run(lambda c: find_sent(c, study))
        if known is None or not known.sending:
            return
        files = await parts.store.study(study)
        key = await parts.studies.ensure(known.uid)
        published = await load_published(files, key, parts.verifier)
        if published is None or not published.root.complete:
            return
        reader = StudyReader(key, published.root, published.chunks)
        reader.index = published.index
        changed = await self._storing.bring_home(known, reader, files, reader.index.instances)
        version = published.root.version
        is_last = await parts.database.run(lambda c: note_stored(c, study, version))
        log.info("a study is in the PACS", study=study.short, version=version, changed=changed)
        if is_last:
            parts.sending.discard(study)
            parts.stored(known.uid, changed > 0)
