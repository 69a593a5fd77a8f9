"""What the broker is told of studies that are published here, and what it says of them."""

from __future__ import annotations

import structlog
import trio
from attrs import evolve, field, frozen

from p2pacs.catalogue.feed import encode_entry
from p2pacs.concurrency.signals import Bell
from p2pacs.errors import (
    AccessError,
    DeadlineError,
    ProtocolError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.ids import StudyId
from p2pacs.publish.source import Detail
from p2pacs.wire.messages.messages import SentNoted, SentReport
from peer.ingest.outgoing_parts import OutgoingParts
from peer.ingest.outgoing_state import Attempt
from peer.ingest.source import SpoolSource, record_of
from peer.spool.records import SpooledStudy

log = structlog.get_logger(__name__)


@frozen
class OwnStudy:
    """A study that is published here."""

    study: StudyId
    uid: str = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    """Its key as the broker wrapped it for this peer."""


async def report(
    parts: OutgoingParts,
    source: SpoolSource,
    of: OwnStudy,
    version: int,
    *,
    complete: bool,
    timeout: float,  # noqa: ASYNC109 - the broker is asked with it
) -> SentNoted:
    """List a version: here at once, and at the broker.

    Args:
        parts: where it is listed.
        source: describes the study. Not the one that it is published from, which knows by its
            last description what is in the version.
        of: the study.
        version: newest that is out.
        complete: whether nothing more had come.
        timeout: seconds for the broker to answer.

    Raises:
        P2PacsError: the broker does not answer, or refuses.
    """
    described = await source.describe(of.uid, Detail.SERIES)
    record = record_of(described, of.study, version)
    own = evolve(record, wrapped_key=of.wrapped_key)
    await trio.to_thread.run_sync(parts.catalogue.upsert, [own])
    entry = await trio.to_thread.run_sync(encode_entry, record)
    query = SentReport(0, of.study.raw, version, complete, entry)
    reply = await parts.ask_broker(query, timeout=timeout)
    if not isinstance(reply, SentNoted):
        raise ProtocolError("the broker answered a SentReport with something else")
    await parts.addressing.noted(of.uid, reply)
    return reply


async def ask_how_far(
    parts: OutgoingParts,
    source: SpoolSource,
    study: SpooledStudy,
    timeout: float,  # noqa: ASYNC109 - the broker is asked with it
) -> SentNoted | None:
    """How far a study is that was published; None if it was not.

    Raises:
        P2PacsError: the broker does not answer, or refuses.
    """
    if study.study is None:
        return None
    known = await trio.to_thread.run_sync(parts.catalogue.get, study.study)
    of = OwnStudy(study.study, study.uid, b"" if known is None else known.wrapped_key)
    return await report(parts, source, of, study.version, complete=True, timeout=timeout)


class GrowthReports:
    """Reports of one study while it grows: the first version at once, then now and then."""

    def __init__(
        self, parts: OutgoingParts, source: SpoolSource, of: OwnStudy, attempt: Attempt
    ) -> None:
        self._parts = parts
        self._source = source
        self._of = of
        self._attempt = attempt
        self.version = 0
        """The newest that came out since; 0 if none did."""
        self._complete = False
        self._bell = Bell()

    def version_out(self, version: int, *, complete: bool) -> None:
        """A version is out."""
        self.version, self._complete = version, complete
        self._bell.ring()

    async def run(self, every: float, timeout: float) -> None:  # noqa: ASYNC109 - as above
        """Report until cancelled.

        Args:
            every: seconds between two reports, at least.
            timeout: seconds for the broker to answer each.
        """
        while True:
            await self._bell.wait()
            try:
                noted = await report(
                    self._parts,
                    self._source,
                    self._of,
                    self.version,
                    complete=self._complete,
                    timeout=timeout,
                )
                self._attempt.noted(noted)
            except (UnavailableError, DeadlineError, AccessError, StudyNotFoundError) as error:
                log.info("not reported", study=self._of.study.short, why=str(error))
            await trio.sleep(every)
