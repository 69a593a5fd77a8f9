"""A hospital's outgoing studies on a real spool and store, and a broker in memory."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import trio
from attrs import define, field

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, LinkClosedError
from p2pacs.identity.directory import Directory, MemberRecord, Role
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish.previous import load_published
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.builder import Published, StudyBuilder
from p2pacs.study.coding import CodedInstance, code_plain
from p2pacs.study.delegation import Delegation, sign_delegation
from p2pacs.study.manifest import sign_root
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.wire.messages.messages import (
    AddressAnswer,
    AddressQuery,
    CancelNoted,
    CancelQuery,
    Query,
    Reply,
    SendGrant,
    SendQuery,
    SentNoted,
    SentReport,
)
from peer.ingest.addressing import StudyAddressing
from peer.ingest.intake import take
from peer.ingest.outgoing import OutgoingStudies
from peer.ingest.outgoing_parts import OutgoingParts, OutgoingTuning
from peer.ingest.source import Arrivals
from peer.spool.recipient_rules import RecipientRule
from peer.spool.records import SpooledStudy, SpoolOutcome
from peer.spool.spool import Spool

BROKER = SigningKey.generate()
MEMBER = SigningKey.generate()
ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
TUNING = OutgoingTuning()


def _member(number: int, name: str, role: Role = Role.HOSPITAL) -> MemberRecord:
    address = VirtualAddress(b"\xfd" + bytes([number]) * 15)
    return MemberRecord(address, name, role, (), bytes(32), bytes(32), revoked=name == "Gone")


SOUTH, EAST = _member(1, "South"), _member(2, "East")
REPLICA, GONE = _member(3, "R1", Role.REPLICA), _member(4, "Gone")
NORTH = MemberRecord(ADDRESS, "North", Role.HOSPITAL, (), bytes(32), bytes(32))
DIRECTORY = Directory(1, 0, (NORTH, SOUTH, EAST, REPLICA, GONE))
LASTS = 7 * 24 * 3600 * 1000


@define
class FakeBroker:
    """Gives leave to publish, and has a PACS that takes what it is told to."""

    asked: list[Query] = field(factory=list)
    keys: dict[StudyId, StudyKey] = field(factory=dict)
    versions: dict[StudyId, int] = field(factory=dict)
    stored: dict[StudyId, int] = field(factory=dict)
    error: Exception | None = None
    """Instead of an answer."""
    stores: bool = True
    """Whether the PACS takes what is reported."""
    copies: dict[VirtualAddress, tuple[int, int]] = field(factory=dict)
    """How far members are: version and share."""
    addressed: list[AddressQuery] = field(factory=list)
    withheld: set[StudyId] = field(factory=set)
    """What this hospital gives to nobody."""
    why: str = ""
    """Why the PACS has not what it does not have."""

    def id_of(self, uid: str) -> StudyId:
        return StudyId.derive(b"secret", uid)

    async def ask(
        self,
        query: Query,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        assert timeout > 0
        await trio.lowlevel.checkpoint()
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        if isinstance(query, CancelQuery):
            stored = self.stored.get(self.id_of(query.uid), 0)
            return CancelNoted(query.id, stored)
        if isinstance(query, SendQuery):
            return self._grant(query)
        if isinstance(query, AddressQuery):
            self.addressed.append(query)
            return AddressAnswer(query.id, query.recipients)
        assert isinstance(query, SentReport)
        study = StudyId(query.study)
        self.versions[study] = max(query.version, self.versions.get(study, 0))
        if self.stores and query.complete:
            self.stored[study] = query.version
        members = [one.raw for one in self.copies]
        versions, shares = zip(*self.copies.values(), strict=True) if members else ((), ())
        held, stored = query.version, self.stored.get(study, 0)
        return SentNoted(query.id, held, stored, members, [*versions], [*shares], self.why)

    def _grant(self, query: SendQuery) -> SendGrant:
        study = self.id_of(query.uid)
        self.keys.setdefault(study, StudyKey.generate())
        version = self.versions.get(study, 0)
        given = Delegation(study, ADDRESS, MEMBER.public, version, 0, LASTS)
        raw = sign_delegation(given, BROKER)
        return SendGrant(query.id, study.raw, b"wrapped", raw, version, [])


@define
class Outgoing:
    """Studies that go out of one hospital."""

    spool: Spool
    store: ChunkStore
    broker: FakeBroker
    studies: OutgoingStudies
    addressing: StudyAddressing
    published: Callable[[StudyId, int, bool], None] = lambda *_: None
    breaks: set[str] = field(factory=set)
    """SOP Instance UIDs of what cannot be coded."""
    coded: list[str] = field(factory=list)
    """SOP Instance UIDs of what was coded, and how often."""

    def take(self, instance: EncodedInstance) -> SpoolOutcome:
        """A scanner stores it."""
        return take(self.spool, instance, "CT1")

    def study(self, uid: str) -> SpooledStudy:
        found = self.spool.index.study(uid)
        assert found is not None
        return found

    async def until_done(self, uid: str) -> None:
        """Until nothing is left to do for a study."""
        while self.study(uid).is_open:
            await trio.sleep(1)

    async def newest(self, uid: str) -> Published:
        """The newest version that is out."""
        study = self.broker.id_of(uid)
        files = await self.store.study(study)
        found = await load_published(files, self.broker.keys[study], BROKER.public)
        assert found is not None
        return found

    async def edit(self, uid: str, add: EncodedInstance, withdraw: str) -> None:
        """Another one publishes the next version."""
        study, before = self.broker.id_of(uid), await self.newest(uid)
        builder = StudyBuilder(study, self.broker.keys[study], uid, before)
        builder.append(code_plain(add))
        builder.withdraw([withdraw])
        batch, files = builder.cut(), await self.store.study(study)
        for chunk in batch.chunks:
            await files.put(chunk.number, chunk.id, chunk.data)
        for name, segment in batch.segments:
            await files.put_segment(name, segment)
        root = builder.root(complete=True)
        raw = sign_root(root, BROKER)
        await files.put_root(raw, version=root.version, segments=root.segments)
        await files.flush()
        self.broker.versions[study] = root.version


@asynccontextmanager
async def outgoing(
    folder: Path,
    broker: FakeBroker | None = None,
    tuning: OutgoingTuning = TUNING,
    rules: Sequence[RecipientRule] = (),
    members: Sequence[MemberRecord] = DIRECTORY.members,
) -> AsyncIterator[Outgoing]:
    """What is made of a folder: opened again, it goes on. To be run by `running`."""
    broker = broker or FakeBroker()

    async def coded(instance: EncodedInstance) -> CodedInstance:
        made.coded.append(instance.sop_instance_uid)
        if instance.sop_instance_uid in made.breaks:
            raise BrokenInstanceError("it ends in the middle of its pixels")
        return await trio.to_thread.run_sync(code_plain, instance)

    async def keep_key(study: StudyId, wrapped: bytes) -> StudyKey:
        assert wrapped == b"wrapped"
        await trio.lowlevel.checkpoint()
        return broker.keys[study]

    async def make_room(_size: int) -> bool:
        raise AssertionError

    def published(study: StudyId, version: int, complete: bool) -> None:
        made.published(study, version, complete)

    async def updated(_study: StudyId) -> None:
        await trio.lowlevel.checkpoint()

    def fetch(_study: StudyId, _holders: Iterable[VirtualAddress] = ()) -> Transfer:
        raise LinkClosedError("nobody is there")

    (folder / "spool").mkdir(parents=True, exist_ok=True)
    with (
        closing(Spool(folder / "spool", reserve=0)) as spool,
        closing(CatalogueIndex(folder / "catalogue.sqlite")) as catalogue,
    ):
        async with open_store(folder / "store") as store:
            addressing = StudyAddressing(
                spool.index, rules, broker.ask, lambda: Directory(1, 0, tuple(members)), me=ADDRESS
            )
            parts = OutgoingParts(
                is_busy=lambda study: False,
                address=ADDRESS,
                key=MEMBER,
                verifier=BROKER.public,
                ask_broker=broker.ask,
                fetch=fetch,
                updated=updated,
                store=store,
                catalogue=catalogue,
                coder=lambda _: coded,
                keep_key=keep_key,
                make_room=make_room,
                addressing=addressing,
                withhold=broker.withheld.add,
                give=broker.withheld.discard,
                published=published,
            )
            arrivals = Arrivals()
            spool.came = arrivals.came
            studies = OutgoingStudies(spool, arrivals, parts, tuning)
            made = Outgoing(spool, store, broker, studies, addressing)
            yield made


@asynccontextmanager
async def running(made: Outgoing) -> AsyncIterator[None]:
    """While it runs."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.studies.run)
        nursery.start_soon(made.addressing.run)
        yield
        nursery.cancel_scope.cancel()
