"""Peers of a real network on loopback, and a broker that answers as the real one does.

The broker here is a real `Node` with real keys and a real store; only what stands behind it
(PACS, access rules) is made up.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import trio
from attrs import evolve
from pydicom import dcmread

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import encode_entry
from p2pacs.catalogue.listing import encode_listing
from p2pacs.catalogue.records import SeriesRecord, StudyRecord, series_of
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, entry, of_level, text
from p2pacs.dataset.vocabulary import HEADER_TAGS, STUDY_LEVEL_TAGS, tag
from p2pacs.errors import ForbiddenError, P2PacsError, StudyNotFoundError
from p2pacs.identity.authority import MEMBER_LIFETIME
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Role, sign_directory
from p2pacs.identity.keys import StudyKey, wrap
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.retention.recycler import Recycler
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.builder import Chunk, Published, StudyBuilder
from p2pacs.study.coding import code
from p2pacs.study.images import Coding
from p2pacs.study.manifest import sign_root
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import LeftOut
from p2pacs.swarm.host import Host
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import GRANT_INFO, Query, Reply
from p2pacs.wire.messages.received import is_received
from peer.app import Peer, open_peer
from peer.config import PeerSettings
from tests.components import free_port
from tests.p2pacs.identity.network import Network, record_of
from tests.p2pacs.study import samples
from tests.p2pacs.workers.kept import KeptWorker


def instances(count: int, *, first: int = 1, rows: int = 64) -> list[EncodedInstance]:
    """CT slices of the one study, of ``2 * rows * rows`` bytes each."""
    return [samples.instance(first + n, rows=rows, columns=rows) for n in range(count)]


def described(count: int) -> list[SeriesRecord]:
    """The same slices as a PACS lists them."""
    told = [samples.dataset(number) for number in range(1, count + 1)]
    return list(series_of(from_dataset(one, HEADER_TAGS) for one in told))


class Broker:
    """Publishes studies, grants keys, keeps the feed, collects the audit."""

    def __init__(self, network: Network, folder: Path, store: ChunkStore) -> None:
        self.identity = network.broker
        self.store = store
        self.catalogue = CatalogueIndex(folder / "broker.db")
        self.uid = samples.STUDY_UID
        self.study = samples.STUDY
        self.key = StudyKey.generate()
        self.forbidden = False
        self.staged: P2PacsError | None = None
        self.asked: list[tuple[str, VirtualAddress]] = []
        self.audit: list[bytes] = []
        self.announced: list[tuple[VirtualAddress, messages.Announce]] = []
        self.holders: list[VirtualAddress] = []
        self.described: list[SeriesRecord] = []
        self.more = False
        self.attributes: Json = {
            tag("PatientName"): entry("PN", {"Alphabetic": "Grün^Zoë"}),
            tag("PatientID"): entry("LO", "P1"),
            tag("StudyDate"): entry("DA", "20240102"),
        }
        self.series = (SeriesRecord(f"{self.uid}.1", {tag("Modality"): entry("CS", "CT")}),)
        self.kept_back: list[Chunk] = []
        self.host: Host
        self.recycler: Recycler
        self.members: dict[VirtualAddress, NodeIdentity] = {}
        self._network = network
        self._published: Published | None = None

    def lists(self, sent: Sequence[EncodedInstance]) -> None:
        """Its study is these real instances', as a PACS lists them."""
        headers = [dcmread(BytesIO(one.part10()), stop_before_pixels=True) for one in sent]
        told = [from_dataset(one, HEADER_TAGS) for one in headers]
        self.uid = text(told[0], "StudyInstanceUID")
        self.attributes = of_level(told[0], STUDY_LEVEL_TAGS)
        listed = series_of(told)
        self.described = list(listed)
        self.series = tuple(evolve(one, instances=()) for one in listed)

    def services(self) -> Services:
        return Services(
            queries={
                messages.StudyQuery: self.grant,
                messages.CatalogueQuery: self._page,
                messages.InstancesQuery: self._instances,
                messages.AuditReport: self._report,
                messages.RenewQuery: self._renew,
                messages.ReachQuery: self._reach,
                messages.PossessionQuery: self._whole,
            },
            news={messages.Announce: self._announce},
        )

    # ------------------------------------------------------------ publishing

    async def publish(
        self,
        added: Sequence[EncodedInstance],
        *,
        complete: bool = True,
        coding: Coding = Coding.SMALLEST,
        finest: int = 0,
        withdrawn: Sequence[str] = (),
        left_out: LeftOut | None = None,
        withheld: Callable[[StudyReader], Collection[int]] = lambda _: (),
    ) -> bytes:
        """A further version of the study; its root.

        Chunks of levels finer than ``finest`` are kept back until `supply`, and ``withheld`` ones.
        """
        builder = StudyBuilder(
            self.study, self.key, self.uid, self._published, chunk_bytes=8 * 1024
        )
        for one in added:
            builder.append(code(one, coding))
        builder.withdraw(withdrawn)
        if left_out is not None:
            builder.leave_out(left_out)
        batch = builder.cut()
        held = await self.store.study(self.study)
        raw = sign_root(builder.root(complete=complete), self._network.signing)
        published = self._published = builder.published()
        coarse = _coarse(published, self.key, finest, withheld)
        self.kept_back += [chunk for chunk in batch.chunks if chunk.number not in coarse]
        for chunk in batch.chunks:
            if chunk.number in coarse:
                await held.put(chunk.number, chunk.id, chunk.data)
        for segment, data in batch.segments:
            await held.put_segment(segment, data)
        await held.put_root(raw, version=published.root.version)
        self.catalogue.upsert([self.record()])
        await self.host.engine.updated(self.study)
        self.host.tell_linked(messages.CatalogueNews(self.catalogue.seq), [Role.HOSPITAL])
        return raw

    async def supply(self) -> None:
        """Have the chunks that were kept back; links that are begun anew tell."""
        held = await self.store.study(self.study)
        for chunk in self.kept_back:
            await held.put(chunk.number, chunk.id, chunk.data)
        self.kept_back.clear()
        await held.flush()

    @property
    def root(self) -> bytes:
        assert self._published is not None
        return sign_root(self._published.root, self._network.signing)

    def record(self) -> StudyRecord:
        count = len(self._published.index.instances) if self._published else 0
        return StudyRecord(
            self.study,
            self.uid,
            {
                **self.attributes,
                tag("NumberOfStudyRelatedInstances"): entry("IS", str(count)),
            },
            self.series,
            version=self._published.root.version if self._published else 0,
        )

    # ------------------------------------------------------------ answering

    def wrapped(self, member: VirtualAddress, study: StudyId) -> bytes:
        return wrap(self.members[member].box_key.public, self.key, GRANT_INFO + study.raw)

    async def grant(self, member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.StudyQuery)
        self.asked.append((query.purpose, member))
        if self.forbidden:
            raise ForbiddenError("the access rule does not allow this study")
        if self.staged is not None:
            raise self.staged
        if query.study != self.study.raw:
            raise StudyNotFoundError("no such study")
        blind = query.purpose == "replicate"
        return messages.StudyGrant(
            query.id,
            b"" if blind else self.wrapped(member, self.study),
            self.root if self._published else b"",
            [holder.raw for holder in self.holders],
            self._published.chunks.segment(0) if self._published else b"",
        )

    async def _page(self, member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.CatalogueQuery)
        page = self.catalogue.since(query.since)
        entries = [
            evolve(one, wrapped_key=self.wrapped(member, one.study))
            if isinstance(one, StudyRecord) and one.version
            else one
            for one in page.entries
        ]
        return messages.CataloguePage(
            query.id, [encode_entry(one) for one in entries], page.until, page.more, page.reset
        )

    async def _instances(self, _member: VirtualAddress, query: Query) -> Reply:
        listed = self.described if query.study == self.study.raw else ()
        return messages.Instances(query.id, encode_listing(listed)[0], more=self.more)

    async def _report(self, _member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.AuditReport)
        self.audit += [raw for raw in query.records if not is_received(raw)]
        return messages.AuditKept(query.id)

    async def _renew(self, member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.RenewQuery)
        issued = self._network.authority.issue(query.csr, member, self.members[member].name)
        return messages.Renewal(query.id, issued)

    async def _reach(self, _member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.ReachQuery)
        return messages.Reach(query.id, query.time - 60_000, ["10.0.0.1:4711"], [])

    async def _whole(self, member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, messages.PossessionQuery)
        return await self.recycler.answer(member, query)

    def _announce(self, member: VirtualAddress, news: messages.Message) -> None:
        assert isinstance(news, messages.Announce)
        self.announced.append((member, news))


def _coarse(
    published: Published,
    key: StudyKey,
    finest: int,
    withheld: Callable[[StudyReader], Collection[int]],
) -> set[int]:
    """The chunks of a version that are of the index, or no finer than a level, and not withheld."""
    reader = StudyReader(key, published.root, published.chunks)
    reader.index = published.index
    finer = {
        number
        for entry in published.index.instances.values()
        for level, numbers in reader.levels(entry)
        if level < finest
        for number in numbers
    }
    return set(range(published.root.chunks)) - finer - set(withheld(reader))


class World:
    """A network with its broker running; peers are added as a test needs them."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.prepare: Callable[[Peer], None] = lambda _peer: None
        """Called with each peer before it runs."""
        self.folder = folder
        self.network = Network.create(folder)
        self.broker: Broker
        self.peers: dict[str, Peer] = {}
        self._nursery = nursery
        self._records: list[MemberRecord] = []
        self._books: list[DirectoryBook] = []
        self._version = 0
        self._scopes: dict[str, trio.CancelScope] = {}
        self._ended: dict[str, trio.Event] = {}

    # ------------------------------------------------------------ the broker

    async def start_broker(self) -> None:
        """Run the broker (again)."""
        await self._nursery.start(self._run_broker)

    async def _run_broker(self, *, task_status: trio.TaskStatus[None]) -> None:
        identity = self.network.broker
        async with AsyncExitStack() as stack:
            stack.callback(self._end("broker").set)
            scope = stack.enter_context(self._scopes.setdefault("broker", trio.CancelScope()))
            store = await stack.enter_async_context(open_store(identity.folder / "store"))
            if not hasattr(self, "broker"):
                self.broker = Broker(self.network, self.folder, store)
                self._listen = Endpoint("127.0.0.1", free_port())
                self._add_record(identity, Role.BROKER, self._listen)
            self.broker.store = store
            book = DirectoryBook(identity.folder / FILE, identity.broker_key)
            self._books.append(book)
            self._publish_directory()
            node = Node(identity, book, store, Line(), self.broker.services(), [self._listen])
            self.broker.host = node.host
            self.broker.recycler = Recycler(
                identity, book, node.host, store, busy=lambda _: False, drop=store.drop
            )
            nursery = await stack.enter_async_context(trio.open_nursery())
            await nursery.start(node.run)
            task_status.started()
            await trio.sleep_forever()
        assert scope.cancelled_caught

    async def supply(self) -> None:
        """Have the broker give what it kept back."""
        await self.broker.supply()
        await self.stop("broker")
        await self.start_broker()

    # ------------------------------------------------------------ peers

    def register(
        self, name: str, role: Role = Role.HOSPITAL, lifetime: timedelta = MEMBER_LIFETIME
    ) -> Path:
        """Make a member's folder, as `peer join` does; its folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)  # a test may have put a disk of its own there
        made = self.network.member(f"{name}/identity", lifetime=lifetime)
        self.broker.members[made.address] = made
        self._listens = Endpoint("127.0.0.1", free_port())
        self._add_record(made, role, self._listens, name=name)
        raw = self._publish_directory()
        DirectoryBook(made.folder / FILE, made.broker_key).update(raw)
        return folder

    async def add(
        self,
        name: str,
        role: Role = Role.HOSPITAL,
        *,
        lifetime: timedelta = MEMBER_LIFETIME,
        **settings: Any,
    ) -> Peer:
        """Register a peer and run it."""
        folder = self.register(name, role, lifetime)
        said = {"name": name, "listen": [str(self._listens)], **settings}
        said["gateway"] = {"decode_ahead": False, **settings.get("gateway", {})}
        return await self.start(name, folder, PeerSettings.model_validate(said))

    async def start(self, name: str, folder: Path, settings: PeerSettings) -> Peer:
        """Run a peer (again)."""
        peer: Peer = await self._nursery.start(self._run_peer, name, folder, settings)
        return peer

    async def _run_peer(
        self, name: str, folder: Path, settings: PeerSettings, *, task_status: Any
    ) -> None:
        ended = self._end(name)
        try:
            with trio.CancelScope() as self._scopes[name]:
                async with (
                    open_peer(folder, settings, KeptWorker.start) as peer,
                    trio.open_nursery() as nursery,
                ):
                    self.prepare(peer)
                    self._books.append(peer.book)
                    self._publish_directory()
                    await nursery.start(peer.run)
                    self.peers[name] = peer
                    task_status.started(peer)
                    await trio.sleep_forever()
        finally:
            ended.set()

    def revoke(self, name: str) -> None:
        """Expel a member, which nobody has told it: the broker alone has the new directory."""
        self._records = [
            evolve(record, revoked=True) if record.name == name else record
            for record in self._records
        ]
        broker, *others = self._books
        self._books = [broker]
        self._publish_directory()
        self._books = [broker, *others]

    async def stop(self, name: str) -> None:
        """End the broker or a peer."""
        self._scopes.pop(name).cancel()
        await self._ended[name].wait()

    def _end(self, name: str) -> trio.Event:
        ended = self._ended[name] = trio.Event()
        return ended

    # ------------------------------------------------------------ the directory

    def _add_record(
        self, identity: NodeIdentity, role: Role, listen: Endpoint, *, name: str | None = None
    ) -> None:
        record = evolve(record_of(identity, role), endpoints=(str(listen),))
        self._records.append(evolve(record, name=name or identity.name))

    def _publish_directory(self) -> bytes:
        self._version += 1
        directory = Directory(self._version, 0, tuple(self._records))
        raw = sign_directory(directory, self.network.signing)
        for book in self._books:
            book.update(raw)
        return raw


async def reported(world: World, peer: Peer) -> int:
    """How many reads the broker has heard of, once it has heard of all.

    While a report is on its way, a read is counted at both ends, or at neither.
    """
    with trio.fail_after(20):
        while await peer.audit.waiting():
            await trio.sleep(0.01)
    return len(world.broker.audit)


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """A world that ends with the block."""
    random.seed(0)
    async with trio.open_nursery() as nursery:
        world = World(folder, nursery)
        await world.start_broker()
        yield world
        nursery.cancel_scope.cancel()
