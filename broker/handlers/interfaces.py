"""What the broker's answers are made of: its parts, and whom it talks through."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from attrs import field, frozen

from broker.database.db import BrokerDatabase
from broker.handlers.tracker import HolderTracker
from broker.ingest.sending import SendingStudies
from broker.members.enrolment import Enrolment
from broker.pacs.adapter import PacsAdapter
from broker.study_keys import StudyKeys
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.directory import Directory, Role
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish import PublishProgress
from p2pacs.store import ChunkStore
from p2pacs.wire.messages.messages import Message, Possession, PossessionQuery


class MemberLinks(Protocol):
    """How members are told something (`p2pacs.swarm.host.Host`)."""

    def tell(self, member: VirtualAddress, message: Message) -> bool:
        """Send news to a member; whether it is linked."""

    def tell_linked(self, message: Message, roles: Collection[Role]) -> None:
        """Send news to all linked members with one of these roles."""


class StudyPublisher(Protocol):
    """Who publishes studies (`broker.publish.Publisher`)."""

    @property
    def publications(self) -> Mapping[StudyId, PublishProgress]:
        """Those under way, and the last ones that ended."""

    def stage(self, uid: str, *, asked: bool = False) -> PublishProgress | None:
        """Publish what is not published yet of a study, unless a member does; ``asked``: for
        somebody to read it."""


class Directories(Protocol):
    """Who is who (`p2pacs.identity.book.DirectoryBook`)."""

    directory: Directory
    raw: bytes


class PossessionProver(Protocol):
    """Who says that a study is whole here (`p2pacs.retention.recycler.Recycler`)."""

    async def answer(self, member: VirtualAddress, query: PossessionQuery) -> Possession:
        """Whether it is, and stays: the asker would drop its own copy."""


@frozen
class Parts:
    """What the answers are made of."""

    address: VirtualAddress
    """The broker's own."""
    database: BrokerDatabase
    book: Directories
    broker_keys: Verifier
    catalogue: CatalogueIndex
    store: ChunkStore
    studies: StudyKeys
    enrolment: Enrolment
    pacs: PacsAdapter
    holders: HolderTracker = field(factory=HolderTracker)
    sending: SendingStudies = field(factory=SendingStudies)
    """What members publish now."""
