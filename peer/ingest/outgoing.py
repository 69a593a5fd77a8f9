"""Studies in the spool are published, and followed until they are in the central PACS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio
from attrs import evolve, frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import encode_entry
from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.groups import single_error
from p2pacs.concurrency.signals import Bell, Pause
from p2pacs.errors import (
    AccessError,
    DeadlineError,
    ForbiddenError,
    P2PacsError,
    ProtocolError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.identity.keys import SigningKey, StudyKey, Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AE_TITLE, CALLERS, MIB
from p2pacs.publish.coder import Coder
from p2pacs.publish.context import PublishContext
from p2pacs.publish.progress import PublishProgress
from p2pacs.publish.publication import Publication
from p2pacs.publish.source import Detail
from p2pacs.publish.version_writer import PublishHooks
from p2pacs.store import ChunkStore
from p2pacs.study.builder import DEFAULT_CHUNK_BYTES
from p2pacs.study.delegation import load_delegation
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Query, Reply, SendGrant, SendQuery, SentNoted, SentReport
from peer.ingest.publish_leave import GrantedKey, PublishLeave
from peer.ingest.source import QUIET, Arrivals, SpoolSource, record_of
from peer.ingest.spool import Spool, SpooledStudy

log = structlog.get_logger(__name__)


@frozen
class OutgoingTuning:
    """How studies go out."""

    parallel: int = 8
    """Studies that are published at once: each for as long as its scanner sends, and coding waits
    for the workers in any case."""
    budget_bytes: int = 8 * MIB
    """Data sets between spool and builder, over all studies."""
    quiet: float = QUIET
    """Seconds without a further instance after which a study counts as sent in whole."""
    answer_seconds: float = 20.0
    """For the broker to answer."""
    report_seconds: float = 5.0
    """Between two reports of a study that grows: a report is a row in the catalogue of all."""
    first_look_seconds: float = 1.0
    """Before the first look whether a study is in the PACS; each next pause is twice as long ..."""
    look_seconds: float = 60.0
    """... up to this."""
    retry_seconds: float = 30.0
    """After something failed; over when a broker is linked again."""
    fetch_seconds: float = 600.0
    """To fetch a version that is out and not here, before the next one can go on from it."""


@frozen
class OutgoingParts:
    """What publishing at a peer works with."""

    address: VirtualAddress
    key: SigningKey
    """Signs this member's manifests."""
    verifier: Verifier
    host: Host
    store: ChunkStore
    catalogue: CatalogueIndex
    coder: Coder
    keep_key: Callable[[StudyId, bytes], Awaitable[StudyKey]]
    """Keeps a study key that the broker wrapped for this peer."""
    make_room: Callable[[int], Awaitable[bool]]
    published: Callable[[StudyId, int, bool], None]
    """A version is out (the broker shall know who holds it)."""


class OutgoingStudies:
    """Publishes what comes into the spool. `run` must be running."""

    def __init__(
        self,
        spool: Spool,
        arrivals: Arrivals,
        parts: OutgoingParts,
        tuning: OutgoingTuning = OutgoingTuning(),
    ) -> None:
        self._spool = spool
        self._arrivals = arrivals
        self._parts = parts
        self.tuning = tuning
        """Of what begins from now on."""
        self._budget = Budget(tuning.budget_bytes)
        self._slots = trio.CapacityLimiter(tuning.parallel)
        self._running: set[str] = set()
        self._pause = Pause()

    def linked(self) -> None:
        """A broker is there (again): what failed is tried now."""
        self._pause.end()

    async def run(self) -> None:
        """Publish until cancelled, beginning with what was not published before."""
        fresh, running = self._arrivals.fresh, self._running
        studies = await trio.to_thread.run_sync(self._spool.list_studies)
        fresh.update(one.uid for one in studies if _is_open(one))
        async with trio.open_nursery() as nursery:
            while True:
                for uid in fresh - running:
                    running.add(uid)
                    nursery.start_soon(self._work, uid)
                await self._arrivals.bell.wait()

    async def _work(self, uid: str) -> None:
        looks = self.tuning.first_look_seconds
        try:
            while True:
                self._arrivals.fresh.discard(uid)
                study = await trio.to_thread.run_sync(self._spool.study, uid)
                if study is None or not _is_open(study):
                    return
                ended = self._pause.ended
                try:
                    if study.newest > study.published:
                        await self._publish(study)
                        looks = self.tuning.first_look_seconds
                        continue
                    if await self._follow(study):
                        continue
                    pause, looks = looks, min(2 * looks, self.tuning.look_seconds)
                except ForbiddenError as error:
                    log.error("a study may not be sent", why=str(error))  # noqa: TRY400
                    await trio.to_thread.run_sync(self._spool.refuse, uid, str(error))
                    return
                except P2PacsError as error:
                    log.warning("a study is not sent yet", why=str(error))
                    pause = self.tuning.retry_seconds
                seen = self._arrivals.count(uid)
                with trio.move_on_after(pause):
                    async with trio.open_nursery() as either:
                        either.start_soon(self._either, either, uid, seen)
                        await self._pause.wait(pause, ended)
                        either.cancel_scope.cancel()
        finally:
            self._running.discard(uid)
            self._arrivals.bell.ring()

    async def _either(self, nursery: trio.Nursery, uid: str, seen: int) -> None:
        await self._arrivals.further(uid, seen)
        nursery.cancel_scope.cancel()

    # ------------------------------------------------------------ publishing

    async def _publish(self, study: SpooledStudy) -> None:
        parts, spool = self._parts, self._spool
        leave, version, holders = await self._ask_leave(study)
        await trio.to_thread.run_sync(spool.admitted, study.uid, leave.study)
        await self._have_version(leave.study, version, holders)
        source = SpoolSource(spool, self._arrivals, quiet=self.tuning.quiet)
        progress = PublishProgress(leave.study, study.uid)
        reports = _Reports(self, source, leave, study.uid)

        async def announce(of: StudyId, version: int, complete: bool) -> None:
            await trio.to_thread.run_sync(spool.version_out, study.uid, version)
            await parts.host.engine.updated(of)
            parts.published(of, version, complete)
            reports.version_out(version, complete=complete)

        context = PublishContext(
            source=source,
            store=parts.store,
            studies=GrantedKey(leave.study, leave.key, version),
            sign=partial(leave.sign, key=parts.key),
            verifier=parts.verifier,
            hooks=PublishHooks(announce, partial(parts.make_room, 1)),
            recover=partial(self._recover, holders),
            budget=self._budget,
            coder=parts.coder,
            chunk_bytes=DEFAULT_CHUNK_BYTES,
        )
        async with self._slots:
            with single_error():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(reports.run)
                    await Publication(context, progress).run()
                    nursery.cancel_scope.cancel()
        await trio.to_thread.run_sync(spool.all_out, study.uid, source.newest)
        log.info(
            "a study that is sent is published",
            study=leave.study.short,
            version=progress.version,
            instances=progress.instances_done,
        )

    async def _ask_leave(
        self, study: SpooledStudy
    ) -> tuple[PublishLeave, int, tuple[VirtualAddress, ...]]:
        parts = self._parts
        callers = [caller[:AE_TITLE] for caller in study.callers[:CALLERS]]
        query = SendQuery(0, study.uid, bytes(parts.key.public), callers)
        reply = await self._ask(query)
        if not isinstance(reply, SendGrant):
            raise ProtocolError("the broker answered a SendQuery with something else")
        of = StudyId(reply.study)
        delegation = load_delegation(reply.delegation, parts.verifier, of)
        if (delegation.member, delegation.key) != (parts.address, parts.key.public):
            raise ProtocolError("the broker's delegation is for another member")
        key = await parts.keep_key(of, reply.wrapped_key)
        at = trio.current_time()
        leave = PublishLeave(of, key, reply.wrapped_key, delegation, reply.delegation, at)
        return leave, reply.version, tuple(map(VirtualAddress, reply.holders))

    async def _have_version(
        self, study: StudyId, version: int, holders: tuple[VirtualAddress, ...]
    ) -> None:
        """Have the newest version that is out here, as the next one goes on from it."""
        store = self._parts.store
        held = (await store.study(study)).version if store.holds(study) else 0
        if version > held and not await self._recover(holders, study):
            raise UnavailableError(
                f"version {version} of study {study.short} is out, and nobody gives it"
            )

    async def _recover(self, holders: tuple[VirtualAddress, ...], study: StudyId) -> bool:
        downloads = self._parts.host.engine.downloads
        transfer = downloads.fetch(study, holders)
        try:
            with trio.fail_after(self.tuning.fetch_seconds):
                await transfer.wait_complete()
        except (P2PacsError, trio.TooSlowError):
            transfer.cancel()
            return False
        return True

    # ------------------------------------------------------------ reporting

    async def _ask(self, query: Query) -> Reply:
        return await self._parts.host.call_broker(query, timeout=self.tuning.answer_seconds)

    async def report(
        self, source: SpoolSource, leave_key: bytes, uid: str, of: StudyId, version: int,
        *, complete: bool,
    ) -> SentNoted:  # fmt: skip
        """List a version: here at once, and at the broker.

        Raises:
            P2PacsError: the broker does not answer, or refuses.
        """
        described = await source.describe(uid, Detail.SERIES)
        record = record_of(described, of, version)
        own = evolve(record, wrapped_key=leave_key)
        await trio.to_thread.run_sync(self._parts.catalogue.upsert, [own])
        entry = await trio.to_thread.run_sync(encode_entry, record)
        reply = await self._ask(SentReport(0, of.raw, version, complete, entry))
        if not isinstance(reply, SentNoted):
            raise ProtocolError("the broker answered a SentReport with something else")
        return reply

    async def _follow(self, study: SpooledStudy) -> bool:
        """See how far a study is that was published; whether the PACS has it."""
        if study.study is None:
            return False
        source = SpoolSource(self._spool, self._arrivals)
        known = await trio.to_thread.run_sync(self._parts.catalogue.get, study.study)
        wrapped = b"" if known is None else known.wrapped_key
        noted = await self.report(
            source, wrapped, study.uid, study.study, study.version, complete=True
        )
        if noted.stored < study.version:
            return False
        log.info("a study that was sent is in the PACS", study=study.study.short)
        await trio.to_thread.run_sync(self._spool.safe, study.uid, study.published)
        return True


class _Reports:
    """Reports of one study while it grows: the first version at once, then now and then."""

    def __init__(
        self, outgoing: OutgoingStudies, source: SpoolSource, leave: PublishLeave, uid: str
    ) -> None:
        self._outgoing = outgoing
        self._source = source
        self._leave = leave
        self._uid = uid
        self._version = 0
        self._complete = False
        self._bell = Bell()

    def version_out(self, version: int, *, complete: bool) -> None:
        """A version is out."""
        self._version, self._complete = version, complete
        self._bell.ring()

    async def run(self) -> None:
        """Report until cancelled."""
        leave = self._leave
        while True:
            await self._bell.wait()
            try:
                await self._outgoing.report(
                    self._source,
                    leave.wrapped_key,
                    self._uid,
                    leave.study,
                    self._version,
                    complete=self._complete,
                )
            except (UnavailableError, DeadlineError, AccessError, StudyNotFoundError) as error:
                log.info("not reported", study=leave.study.short, why=str(error))
            await trio.sleep(self._outgoing.tuning.report_seconds)


def _is_open(study: SpooledStudy) -> bool:
    """Whether something is left to do for a study."""
    return study.refused is None and study.newest > min(study.published, study.safe)
