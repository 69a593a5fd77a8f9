"""What publishing at a peer works with, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.concurrency.urgency import Haste
from p2pacs.identity.keys import SigningKey, StudyKey, Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB
from p2pacs.publish.coder import Coder, SliceCoder, code_slice_plain
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.wire.messages.messages import Query, Reply, SentNoted
from peer.ingest.source import QUIET
from peer.ingest.urgencies import Urgencies
from peer.spool.records import SpooledStudy


@frozen
class OutgoingTuning:
    """How studies go out."""

    parallel: int = 8
    """Studies that are published at once, and as many that are STAT: each for as long as its
    scanner sends, and coding waits for the workers in any case."""
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
    kept_days: float = 110.0
    """After its last instance came, for which it is known what was sent of a study that is home:
    longer than Storage Commitment may take (`sending.commit_days`)."""
    forget_seconds: float = 24 * 3600.0
    """Between two looks which studies are older."""
    fetch_seconds: float = 600.0
    """To fetch a version that is out and not here, before the next one can go on from it."""


class AskBroker(Protocol):
    """Asks a broker (`p2pacs.swarm.host.Host.call_broker`)."""

    async def __call__(
        self,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        """Its reply."""


class FetchStudy(Protocol):
    """Fetches a study (`p2pacs.swarm.download.downloads.Downloads.fetch`)."""

    def __call__(self, study: StudyId, holders: Iterable[VirtualAddress] = ()) -> Transfer:
        """The transfer, which may have gone on before."""


class Addressing(Protocol):
    """To whom studies go (`peer.ingest.addressing.StudyAddressing`)."""

    @property
    def urgencies(self) -> Urgencies:
        """Of the studies that are being sent."""

    async def urgency(self, study: SpooledStudy) -> Haste:
        """How urgent one is; the same object for as long as somebody works at it."""

    def look(self, uid: str) -> None:
        """The broker lets a study be published."""

    async def noted(self, uid: str, noted: SentNoted) -> None:
        """It said how far members are with it."""

    def linked(self) -> None:
        """A broker is there (again)."""


@frozen
class OutgoingParts:
    """What publishing at a peer works with."""

    address: VirtualAddress
    key: SigningKey
    """Signs this member's manifests."""
    verifier: Verifier
    ask_broker: AskBroker
    fetch: FetchStudy
    updated: Callable[[StudyId], Awaitable[None]]
    """Tells those who fetch a study that a version of it is out."""
    is_busy: Callable[[StudyId], bool]
    """Whether the line has enough to do with what is out of a study."""
    store: ChunkStore
    catalogue: CatalogueIndex
    coder: Callable[[Haste], Coder]
    """Codes what is so urgent."""
    keep_key: Callable[[StudyId, bytes], Awaitable[StudyKey]]
    """Keeps a study key that the broker wrapped for this peer."""
    make_room: Callable[[int], Awaitable[bool]]
    addressing: Addressing
    withhold: Callable[[StudyId], None]
    """Gives nothing of a study to anybody ..."""
    give: Callable[[StudyId], None]
    """... until this."""
    published: Callable[[StudyId, int, bool], None]
    """A version is out: the broker shall know who holds it."""
    slice_coder: Callable[[Haste], SliceCoder] = lambda _: code_slice_plain
