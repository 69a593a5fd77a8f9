"""A whole network in one process: real hosts on simulated lines, in virtual time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import evolve

from p2pacs.errors import LinkClosedError, P2PacsError
from p2pacs.identity.directory import Directory, MemberRecord, Remote, Role, sign_directory
from p2pacs.identity.keys import Secret, SigningKey
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.limits import KIB
from p2pacs.line.line import Line
from p2pacs.line.paced import PacedStream
from p2pacs.line.pacing import NO_OVERHEAD
from p2pacs.mesh.interfaces import Channel
from p2pacs.study.delegation import Delegation, sign_delegation
from p2pacs.study.manifest import ChunkList, Root, sign_delegated_root, sign_root
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Host, Services
from tests.simulation.halves import Half
from tests.simulation.lines import LineStream, connect
from tests.simulation.nic import Nic
from tests.simulation.stores import SharedBook, SharedStore

CHUNK = 32 * KIB

DIALLED = 1_500
"""Bytes of a TCP and a mutual TLS 1.3 handshake, with headers: the dialler's ..."""

ANSWERED = 1_300
"""... and the other side's."""


class Study:
    """A study that is published in one or more versions: by the broker, or by a member that sends
    it."""

    def __init__(
        self,
        key: SigningKey,
        seed: int = 1,
        *,
        chunk: int = CHUNK,
        sender: VirtualAddress | None = None,
    ) -> None:
        self.id = StudyId(seed.to_bytes(16, "big"))
        self.list = ChunkList()
        self.data: list[bytes] = []
        self.chunk = chunk
        self.roots: list[bytes] = []
        self._key = key
        self._sender = sender
        self._random = random.Random(seed)  # noqa: S311

    def begin(self, size: int, each: int) -> None:
        """So many bytes come in small chunks, as the broker publishes what a study begins with."""
        self._lay(round(size / each), each)

    def _lay(self, chunks: int, each: int) -> None:
        for _ in range(chunks):
            data = self._random.randbytes(each)
            self.data.append(data)
            self.list.append(ChunkId.of(data), len(data))

    def grow(self, chunks: int, *, complete: bool = True) -> bytes:
        """A version with so many chunks more; its root."""
        self._lay(chunks, self.chunk)
        root = Root(
            study=self.id,
            version=len(self.roots) + 1,
            complete=complete,
            chunk_bytes=self.chunk,
            chunks=len(self.list),
            total_bytes=self.list.total_bytes,
            segments=tuple(ChunkId.of(segment) for segment in self.list.segments()),
            parts=(),
        )
        self.roots.append(self._signed(root))
        return self.roots[-1]

    def _signed(self, root: Root) -> bytes:
        if self._sender is None:
            return sign_root(root, self._key)
        theirs = SigningKey(Secret(b"a key that a member has, of its own"[:32]))
        delegation = Delegation(self.id, self._sender, theirs.public, 0, 0, 1)
        return sign_delegated_root(root, theirs, sign_delegation(delegation, self._key), 0)

    async def put(self, store: SharedStore, numbers: Sequence[int] | None = None) -> None:
        """Put the newest version into a store: these chunks, or all."""
        chunks = await store.study(self.id)
        for number in range(len(self.data)) if numbers is None else numbers:
            if number not in chunks.have:
                await chunks.put(number, self.list.id(number), self.data[number])
        for segment in self.list.segments():
            await chunks.put_segment(ChunkId.of(segment), segment)
        await chunks.put_root(self.roots[-1])

    async def grant(self, store: SharedStore) -> bytes:
        """What comes with the broker's grant: a root, and the list of the first chunks."""
        segment = self.list.segment(0)
        await (await store.study(self.id)).put_segment(ChunkId.of(segment), segment)
        return self.roots[-1]


class SimMember:
    """One host of the world."""

    def __init__(self, world: World, record: MemberRecord, nic: Nic, line: Line) -> None:
        self.world = world
        self.record = record
        self.nic = nic
        self.line = line
        self.store = SharedStore(world.chunks)
        self.services = Services()
        self.streams: list[LineStream] = []
        self.dials = 0
        self.frozen = False
        self.lan: Nic | None = None
        """Its network card on the one LAN of the world, if it is there."""
        self.book = SharedBook(world.folder / record.name, world.key.public, world.directories)
        self.book.update(world.raw)
        self._host: Host | None = None
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None

    @property
    def address(self) -> VirtualAddress:
        return self.record.address

    @property
    def host(self) -> Host:
        assert self._host is not None
        return self._host

    @property
    def up(self) -> bool:
        return self._host is not None

    @property
    def here(self) -> bool:
        """Whether this process runs it."""
        half = self.world.half
        return half is None or half.has(int.from_bytes(self.address[-2:], "big"))

    async def start(self) -> None:
        self._scope = trio.CancelScope()
        await self.world.nursery.start(self._run)

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self._host = Host(
            address=self.address,
            book=self.book,
            store=self.store,
            line=self.line,
            services=self.services,
            transport=self,
        )
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    await self._nursery.start(self._host.run)
                    task_status.started()
        finally:
            self._host = self._nursery = None

    def kill(self) -> None:
        """As when the power fails (others see their connections break)."""
        self._scope.cancel()
        for stream in self.streams:
            stream.cut()

    def freeze(self) -> None:
        """The line carries nothing any more, without a sign."""
        self._carry(on=False)

    def thaw(self) -> None:
        """It does again."""
        self._carry(on=True)

    def _carry(self, *, on: bool) -> None:
        self.frozen = not on
        for stream in self.streams:
            stream.outgoing.carry(on=on)
            stream.incoming.carry(on=on)

    def fetch(
        self, study: Study, holders: Sequence[SimMember], root: bytes | None = None
    ) -> Transfer:
        return self.host.engine.downloads.fetch(
            study.id, [member.address for member in holders], root
        )

    # ------------------------------------------------------------ the transport

    async def connect(self, member: MemberRecord) -> Channel:
        self.dials += 1
        other = self.world.members[member.address]
        if self.world.half is not None and not other.here:
            stream = self.world.half.dial(self, other)
            self.streams.append(stream)
            await self._handshake(other)
            if stream.incoming.broken:
                raise LinkClosedError(f"{member.name} refused")
            return self._channel(stream, other)
        await self._handshake(other)
        if self.frozen or other.frozen:
            await trio.sleep_forever()
        if other._nursery is None:
            raise LinkClosedError(f"{member.name} refused")
        nics = (self.lan, other.lan) if self.lan and other.lan else (self.nic, other.nic)
        here, there = connect(*nics)
        self.streams.append(here)
        other.streams.append(there)
        other._nursery.start_soon(other._serve, self, there)
        return self._channel(here, other)

    async def _handshake(self, other: SimMember) -> None:
        """A round trip of TCP; and one of TLS where lines carry headers."""
        round_trip = 2 * (self.nic.delay + other.nic.delay)
        if self.nic.overhead is not NO_OVERHEAD:
            round_trip *= 2
            self.nic.push(DIALLED, trio.current_time())
            if other.here:
                other.nic.push(ANSWERED, trio.current_time())
        await trio.sleep(round_trip)

    def called(self, other: SimMember, stream: LineStream) -> None:
        """A host of the other half has dialled this one."""
        if self._nursery is None:
            stream.cut()
        else:
            self.streams.append(stream)
            self._nursery.start_soon(self._serve, other, stream)

    async def _serve(self, other: SimMember, stream: LineStream) -> None:
        try:
            self.host.mesh.allowed(other.address)
            await self.host.mesh.serve(other.record, self._channel(stream, other))
        except P2PacsError:
            stream.cut()

    def _channel(self, stream: LineStream, other: SimMember) -> Channel:
        remote = Remote(other.address, other.record.key_hash)
        if self.lan is not None and other.lan is not None:
            return Channel(stream, remote, lan=True)
        up, down = self.host.uplink, self.host.downlink
        return Channel(PacedStream(stream, up, down) if up or down else stream, remote, lan=False)


class World:
    """Members, their directory and the broker's key."""

    def __init__(self, folder: Path, nursery: trio.Nursery, half: Half | None = None) -> None:
        self.folder = folder
        self.nursery = nursery
        self.half = half
        """Which half of the hosts this process runs; None for all."""
        self.key = SigningKey(Secret(b"a key that signs simulated roots"))
        self.members: dict[VirtualAddress, SimMember] = {}
        self.chunks: dict[ChunkId, bytes] = {}
        """Each chunk is in memory once, however many have it."""
        self.directories: dict[bytes, Directory] = {}
        self.raw = b""
        self._records: list[MemberRecord] = []
        self._version = 0

    async def add(
        self,
        name: str,
        role: Role = Role.HOSPITAL,
        *,
        nic: Nic | None = None,
        line: Line | None = None,
        start: bool = True,
        kind: type[SimMember] | None = None,
    ) -> SimMember:
        """A further member; all that are there learn of it."""
        number = len(self._records) + 1
        address = VirtualAddress(b"\xfd" + bytes(13) + number.to_bytes(2, "big"))
        record = MemberRecord(address, name, role, ("x:1",), bytes(32), bytes(32))
        self._records.append(record)
        self.publish()
        member = (kind or SimMember)(self, record, nic or Nic(), line or Line())
        self.members[address] = member
        if start and member.here:
            await member.start()
        return member

    def revoke(self, member: SimMember) -> None:
        """Sign a directory without this member, and give it to all."""
        self._records = [
            evolve(record, revoked=True) if record.address == member.address else record
            for record in self._records
        ]
        self.publish()

    def rekey(self, member: SimMember) -> None:
        """The member enrolled anew on another machine: this one's key is the old one now."""
        self._records = [
            evolve(record, key_hash=b"new" + bytes(29)) if record is member.record else record
            for record in self._records
        ]
        self.publish()

    def publish(self) -> None:
        self._version += 1
        directory = Directory(self._version, self._version, tuple(self._records))
        self.raw = sign_directory(directory, self.key)
        for member in self.members.values():
            member.book.update(self.raw)


@asynccontextmanager
async def open_world(folder: Path, half: Half | None = None) -> AsyncIterator[World]:
    """A world that ends with the block."""
    async with trio.open_nursery() as nursery:
        world = World(folder, nursery, half)
        if half is not None:
            half.join(world)
        yield world
        nursery.cancel_scope.cancel()


def adsl() -> Nic:
    """A line as hospitals have it: 800 kbit/s up, 3 Mbit/s down."""
    return Nic(up=100_000, down=375_000, delay=0.0105)


def paced() -> Line:
    """That line, paced."""
    return Line(uplink=800_000, downlink=3_000_000, overhead=NO_OVERHEAD)


async def replicas(world: World, study: Study, count: int) -> list[SimMember]:
    """Replicas that hold the study, each with such a line."""
    result = []
    for number in range(count):
        member = await world.add(f"replica {number}", Role.REPLICA, nic=adsl(), line=paced())
        await study.put(member.store)
        result.append(member)
    return result


async def fetched(member: SimMember, study: Study) -> None:
    """All is there and right."""
    chunks = await member.store.study(study.id)
    assert await chunks.read_many(range(len(study.data))) == study.data
