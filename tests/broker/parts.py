"""The broker's parts around fakes: a PACS in memory, a publisher and a node that only remember."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from broker.config import EnrolmentSettings
from broker.database.db import now
from broker.handlers.interfaces import Parts
from broker.members import registry
from broker.members.enrolment import Enrolment
from broker.study_keys import StudyKeys
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import P2PacsError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import BoxKey, Secret, SigningKey
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.publish import PublishProgress
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.manifest import ChunkList, Root, sign_root
from p2pacs.wire.messages.messages import Message, Possession, PossessionQuery
from tests.broker.conftest import Ground
from tests.broker.fakes import FakePacs


class FakeLinks:
    """A node that remembers what it was to tell."""

    def __init__(self) -> None:
        self.linked: list[VirtualAddress] = []
        self.told: list[tuple[VirtualAddress, Message]] = []
        self.told_roles: list[tuple[Message, list[Role]]] = []

    def tell(self, member: VirtualAddress, message: Message) -> bool:
        self.told.append((member, message))
        return member in self.linked

    def tell_linked(self, message: Message, roles: Collection[Role]) -> None:
        self.told_roles.append((message, list(roles)))


class FakeProver:
    """A cache that holds one study in whole."""

    def __init__(self, study: bytes) -> None:
        self._study = study

    async def answer(self, _member: VirtualAddress, query: PossessionQuery) -> Possession:
        return Possession(query.id, whole=query.study == self._study, proof=b"")


class FakePublisher:
    """A publisher that has published at once, or has failed."""

    def __init__(self, studies: StudyKeys, store: ChunkStore) -> None:
        self.staged: list[str] = []
        self.error: P2PacsError | None = None
        self.never = False
        self.whole = False
        self.comparing = False
        """A first version is out, and the comparison with the PACS takes its time."""
        self.published = 0
        """Version that was out before."""
        self.is_sent: Callable[[StudyId], bool] = lambda _: False
        self.publications: dict[StudyId, PublishProgress] = {}
        self._studies = studies
        self._store = store

    def stage(self, uid: str, *, asked: bool = False) -> PublishProgress | None:
        if self.is_sent(self._studies.id_of(uid)):
            return None
        self.staged.append(uid)
        progress = PublishProgress(self._studies.id_of(uid), uid)
        self.publications[progress.study] = progress
        progress.published(self.published)
        if self.error is not None:
            progress.end(self.error)
        elif not self.never:
            progress.published(1)
            if not self.comparing:
                progress.compared()
            if self.whole:
                progress.end(None)
        return progress

    async def publish(self, uid: str, key: SigningKey) -> tuple[bytes, bytes]:
        """What a real publisher leaves behind: a root and its one segment."""
        study = self._studies.id_of(uid)
        await self._studies.ensure(uid)
        await self._studies.published(study, 1, complete=True)
        files = await self._store.study(study)
        chunks = ChunkList()
        chunks.append(ChunkId.of(b"chunk"), 1000)
        ids = tuple(map(ChunkId.of, chunks.segments()))
        made = Root(
            study,
            version=1,
            complete=True,
            chunk_bytes=1000,
            chunks=1,
            total_bytes=1000,
            segments=ids,
            parts=(),
        )
        root = sign_root(made, key)
        await files.put_segment(ids[0], chunks.segment(0))
        await files.put_root(root, version=1, segments=ids)
        return root, chunks.segment(0)


@asynccontextmanager
async def open_parts(ground: Ground, folder: Path, pacs: FakePacs) -> AsyncIterator[Parts]:
    enrolment = Enrolment(
        ground.database,
        authority=ground.authority,
        key=ground.key,
        book=ground.book,
        keeper=ground.keeper,
        settings=EnrolmentSettings(),
    )
    catalogue = CatalogueIndex(ground.database)
    async with open_store(folder / "store") as store:
        yield Parts(
            address=ground.identity.address,
            database=ground.database,
            book=ground.book,
            broker_keys=ground.book.keys,
            catalogue=catalogue,
            store=store,
            studies=StudyKeys(ground.database, Secret(b"s" * 32), ground.identity.box_key),
            enrolment=enrolment,
            pacs=pacs,
        )


async def joined(
    ground: Ground,
    name: str,
    *,
    role: Role = Role.HOSPITAL,
    read: str | None = None,
    endpoints: Sequence[str] = (),
) -> tuple[registry.Member, BoxKey]:
    """A member that has joined, and its box key."""
    rule = registry.default_read(role) if read is None else read
    member, _ = await ground.register(name, role=role, read=rule)
    box = BoxKey.generate()
    await ground.database.run(
        lambda c: registry.join(
            c,
            member.address,
            key_hash=member.address.raw * 2,
            box_key=box.public,
            endpoints=list(endpoints),
            certificate_expires=now() + 10**9,
        )
    )
    await ground.keeper.refresh()
    return await ground.database.run(lambda c: registry.get_member(c, member.address)), box


def record(parts: Parts, uid: str = "1.2.3", modality: str = "CT", version: int = 0) -> StudyRecord:
    attributes = {tag("ModalitiesInStudy"): entry("CS", modality)}
    return StudyRecord(parts.studies.id_of(uid), uid, attributes, (), version)
