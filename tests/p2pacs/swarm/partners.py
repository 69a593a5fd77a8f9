"""A paced line with partners that answer offers as they are told to: no network, no downloads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from attrs import define, field

from p2pacs.bitfield import Bitfield
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.limits import KIB
from p2pacs.line.pacer import Pacer
from p2pacs.line.pacing import NO_OVERHEAD
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.paced_sender import PacedSender
from p2pacs.wire.messages.messages import Block, Message, Offer
from scripts.memory_store import MemoryStore, MemoryStudy

RATE = 100_000
CHUNK = 32 * KIB
CT = StudyId(bytes(16))

Answer = Callable[["Member", Offer], Sequence[int]]
"""What a member chooses."""


def as_advised(member: Member, offer: Offer) -> Sequence[int]:
    """What it lacks, advice first."""
    chosen = [n for n in dict.fromkeys([*offer.numbers, *range(1000)]) if member.lacks(n)]
    return chosen[: offer.chunks]


def nothing(member: Member, offer: Offer) -> Sequence[int]:
    """It has all it wants."""
    return []


@define(eq=False)
class Member:
    """A partner, and the link to it."""

    line: PacedLine
    address: VirtualAddress
    partner: Partner
    answer: Answer | None = as_advised
    """None: it never answers."""
    round_trip: float = 0.04
    seconds: float = 0.0
    """How long its link takes for a block."""
    study: StudyId = CT
    idle: bool = True
    paced: bool = True
    asked: set[int] = field(factory=set)
    offers: list[tuple[float, Offer]] = field(factory=list)
    blocks: list[tuple[float, Block]] = field(factory=list)
    refused: list[int] = field(factory=list)

    def lacks(self, number: int) -> bool:
        """Whether it still wants a chunk, and we have it."""
        chunks = self.line.swarms.of(self.study).chunks
        there = chunks is not None and number in chunks.have
        return there and number not in self.asked and number not in self.partner.has

    def bytes(self, first: float = 0.0, last: float = float("inf")) -> int:
        """Data that it got in this time."""
        return sum(len(block.data) for at, block in self.blocks if first <= at < last)

    @property
    def received(self) -> list[int]:
        """The chunks that it got whole."""
        return [one.number for _, one in self.blocks if one.offset + len(one.data) == one.size]

    # ------------------------------------------------------------ the link

    def send(self, message: Message) -> None:
        """An offer: answer it."""
        assert isinstance(message, Offer)
        self.offers.append((trio.current_time(), message))
        if self.answer is not None:
            self.line.nursery.start_soon(self._answer, message, self.answer)

    async def _answer(self, offer: Offer, answer: Answer) -> None:
        await trio.sleep(self.round_trip)
        self.choose(answer(self, offer))

    def choose(self, numbers: Sequence[int]) -> None:
        """Say what is wanted."""
        self.asked.update(numbers)
        self.refused += self.line.sender.ask(self.address, self.study, numbers)

    def send_block(self, block: Block) -> None:
        """A block is on its way."""
        assert self.idle
        self.line.pacer.charge(len(block.data))
        self.blocks.append((trio.current_time(), block))
        self.idle = False
        self.line.nursery.start_soon(self._take)

    async def _take(self) -> None:
        await trio.sleep(self.seconds)
        self.idle = True
        self.line.sender.changed()


class PacedLine:
    """The line, the studies that are here, and the partners."""

    def __init__(
        self, nursery: trio.Nursery, *, rate: int, origin: bool, broker: int | None = None
    ) -> None:
        self.nursery = nursery
        self.pacer = Pacer(rate * 8, NO_OVERHEAD)
        self.members: dict[VirtualAddress, Member] = {}
        self.unreadable: set[int] = set()
        links = cast("dict[VirtualAddress, Connection]", self.members)
        key = SigningKey.generate().public
        self.swarms = OpenSwarms(VirtualAddress(b"\xfd" + bytes(15)), links, MemoryStore(), key)
        self.sender = PacedSender(
            links,
            self.swarms,
            self.pacer,
            self._read,
            lambda member, size: None,
            seed=b"seed",
            is_origin=lambda swarm: origin,
            is_broker=lambda member: member[-1] == broker,
        )

    async def study(
        self, chunks: int, study: StudyId = CT, *, listed: int | None = None
    ) -> StudySwarm:
        """A study of which so many chunks are here."""
        swarm = self.swarms.of(study)
        swarm.chunks = MemoryStudy()
        for number in range(chunks):
            await swarm.chunks.put(number, ChunkId(bytes(32)), b"")
        swarm.listed = chunks if listed is None else listed
        return swarm

    def add(self, number: int, has: Sequence[int] = (), **more: Any) -> Member:
        """A further partner that fetches; priority and whatever `Member` has may be told."""
        priority = more.pop("priority", 2)
        address = VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))
        now = trio.current_time()
        partner = Partner(1, Bitfield(has), True, priority, True, moved_at=now)
        member = self.members[address] = Member(self, address, partner, **more)
        self.swarms.of(member.study).partners[address] = partner
        self.sender.changed()
        return member

    def remove(self, member: Member) -> None:
        """It is gone."""
        del self.members[member.address]
        del self.swarms.of(member.study).partners[member.address]
        self.sender.drop(member.address)

    async def _read(
        self, member: VirtualAddress, study: StudyId, numbers: list[int]
    ) -> list[tuple[int, bytes]]:
        await trio.lowlevel.checkpoint()
        return [(number, bytes(CHUNK)) for number in numbers if number not in self.unreadable]


@asynccontextmanager
async def paced_line(
    chunks: int = 64, *, rate: int = RATE, origin: bool = False, broker: int | None = None
) -> AsyncIterator[PacedLine]:
    """A line that sends, with one study."""
    async with trio.open_nursery() as nursery:
        line = PacedLine(nursery, rate=rate, origin=origin, broker=broker)
        await line.study(chunks)
        nursery.start_soon(line.sender.run)
        yield line
        nursery.cancel_scope.cancel()
