"""One study in the spool is published, by the leave of the broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog
import trio

from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.groups import single_error
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import P2PacsError, PacsDataError, ProtocolError, UnavailableError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AE_TITLE, CALLERS
from p2pacs.publish.context import PublishContext
from p2pacs.publish.progress import PublishProgress
from p2pacs.publish.publication import Publication
from p2pacs.publish.source import Retrieved
from p2pacs.publish.version_writer import PublishHooks
from p2pacs.study.builder import DEFAULT_CHUNK_BYTES
from p2pacs.study.delegation import load_delegation
from p2pacs.wire.messages.messages import SendGrant, SendQuery
from peer.ingest.cancellations import Cancellations
from peer.ingest.coded_ahead import AHEAD_BYTES, CodedAhead
from peer.ingest.outgoing_parts import OutgoingParts, OutgoingTuning
from peer.ingest.outgoing_state import Attempt
from peer.ingest.publish_leave import GrantedKey, PublishLeave
from peer.ingest.reports import GrowthReports, OwnStudy
from peer.ingest.slots import Slots
from peer.ingest.source import Arrivals, SpoolSource
from peer.spool.records import SpooledStudy
from peer.spool.spool import Spool

log = structlog.get_logger(__name__)


class SpoolPublisher:
    """Publishes studies in the spool, each for as long as more of it comes."""

    def __init__(
        self,
        spool: Spool,
        arrivals: Arrivals,
        parts: OutgoingParts,
        cancellations: Cancellations,
        tuning: OutgoingTuning,
    ) -> None:
        self._spool = spool
        self._cancellations = cancellations
        self._arrivals = arrivals
        self._parts = parts
        self._budget = Budget(tuning.budget_bytes)
        self._slots = Slots(tuning.parallel)
        parts.addressing.urgencies.changed = self._slots.look

    async def publish(self, study: SpooledStudy, tuning: OutgoingTuning, attempt: Attempt) -> None:
        """Publish what came of a study and what comes meanwhile, until it is quiet.

        Args:
            study: which.
            tuning: how.
            attempt: told how far it is.

        Raises:
            ForbiddenError: the broker does not let it be published.
            P2PacsError: it broke off; what is out stays.
        """
        parts, index = self._parts, self._spool.index
        urgency = await parts.addressing.urgency(study)
        coder = CodedAhead(parts.coder(urgency))
        async with self._slots.turn(urgency), trio.open_nursery() as nursery:
            if not (study.version or attempt.failure):  # a broker that is away is asked for a month
                nursery.start_soon(self._code_first, study.uid, coder)
            answer = await self._leave_or_why(study, tuning)
        if isinstance(answer, P2PacsError):
            raise answer
        leave, version, holders = answer
        await trio.to_thread.run_sync(index.admitted, study.uid, leave.study)
        parts.addressing.look(study.uid)
        recover = partial(self._recover, holders, tuning.fetch_seconds)
        await self._have_version(leave.study, version, holders, recover)
        source = SpoolSource(self._spool, self._arrivals, quiet=tuning.quiet)
        progress = PublishProgress(leave.study, study.uid)
        own = OwnStudy(leave.study, study.uid, leave.wrapped_key)
        reports = GrowthReports(parts, SpoolSource(self._spool, self._arrivals), own, attempt)
        attempt.begin(progress)

        async def announce(of: StudyId, version: int, complete: bool) -> None:
            await trio.to_thread.run_sync(index.version_out, study.uid, version)
            await parts.updated(of)
            parts.published(of, version, complete)
            reports.version_out(version, complete=complete)

        context = PublishContext(
            source=source,
            store=parts.store,
            studies=GrantedKey(leave.study, leave.key, version),
            sign=partial(leave.sign, key=parts.key),
            verifier=parts.verifier,
            hooks=PublishHooks(announce, partial(parts.make_room, 1), parts.is_busy),
            recover=recover,
            budget=self._budget,
            coder=coder,
            slice_coder=parts.slice_coder(urgency),
            urgency=urgency,
            chunk_bytes=DEFAULT_CHUNK_BYTES,
        )
        try:
            async with self._slots.turn(urgency):
                with single_error():
                    async with trio.open_nursery() as nursery:
                        every, timeout = tuning.report_seconds, tuning.answer_seconds
                        nursery.start_soon(reports.run, every, timeout)
                        await Publication(context, progress).run()
                        nursery.cancel_scope.cancel()
        except PacsDataError:
            await self._set_aside(progress)
            raise
        await self._set_aside(progress)
        await trio.to_thread.run_sync(index.all_out, study.uid, source.newest)
        if not reports.version:  # all of it was sent before: have it looked for once, not for each
            await self._arrivals.until_quiet(study.uid, tuning.quiet)
            return
        log.info(
            "a study that is sent is published",
            study=leave.study.short,
            version=progress.version,
            instances=progress.instances_done,
        )

    async def _set_aside(self, progress: PublishProgress) -> None:
        """What cannot be published stays in the spool, however long."""
        failed = list(progress.failed)
        index = self._spool.index
        count = await trio.to_thread.run_sync(index.set_aside, progress.uid, failed)
        if count:
            log.error(
                "instances that were sent here are broken: they are kept, and not published",
                study=progress.study.short,
                count=count,
                why=progress.why,
            )

    async def _code_first(self, uid: str, coder: CodedAhead) -> None:
        """Code the first instance of a study; what is wrong with it is said when it is its turn."""

        def read() -> Retrieved | None:
            first = self._spool.index.list_instances(uid, most=1)
            is_small = first and first[0].file is not None and first[0].size <= AHEAD_BYTES
            return self._spool.read(first[0]) if is_small else None

        with suppress(P2PacsError):
            instance = await trio.to_thread.run_sync(read)
            if isinstance(instance, EncodedInstance):
                await coder.begin(instance)

    async def _leave_or_why(
        self, study: SpooledStudy, tuning: OutgoingTuning
    ) -> tuple[PublishLeave, int, tuple[VirtualAddress, ...]] | P2PacsError:
        """As `_ask_leave`; an error is handed back, as what is coded meanwhile goes on: a worker
        process whose work nobody wants is ended, and the next one takes a second to start."""
        try:
            return await self._ask_leave(study, tuning)
        except P2PacsError as error:
            return error

    async def _ask_leave(
        self, study: SpooledStudy, tuning: OutgoingTuning
    ) -> tuple[PublishLeave, int, tuple[VirtualAddress, ...]]:
        parts = self._parts
        await self._cancellations.over(study.uid)
        callers = [caller[:AE_TITLE] for caller in study.callers[:CALLERS]]
        query = SendQuery(0, study.uid, bytes(parts.key.public), callers)
        reply = await parts.ask_broker(query, timeout=tuning.answer_seconds)
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
        self,
        study: StudyId,
        version: int,
        holders: tuple[VirtualAddress, ...],
        recover: Callable[[StudyId], Awaitable[bool]],
    ) -> None:
        """Have the newest version that is out here, as the next one goes on from it. One that
        nobody has is lost: what is in the spool is published under the next number.

        Raises:
            UnavailableError: somebody has it, and does not give it now.
        """
        store = self._parts.store
        held = (await store.study(study)).version if store.holds(study) else 0
        if version > held and not await recover(study) and holders:
            raise UnavailableError(
                f"version {version} of study {study.short} is out, and nobody gives it"
            )

    async def _recover(
        self, holders: tuple[VirtualAddress, ...], seconds: float, study: StudyId
    ) -> bool:
        transfer = self._parts.fetch(study, holders)
        try:
            with trio.fail_after(seconds):
                await transfer.wait_complete()
        except (P2PacsError, trio.TooSlowError):
            transfer.cancel()
            return False
        return True
