"""A peer behind the local interface that has one study in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import trio
from attrs import define, field, frozen

from p2pacs.concurrency.signals import Bell
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.pixel_data import Reading, run
from p2pacs.errors import NotFoundError, P2PacsError, StateError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.output.json_object import JsonObject
from p2pacs.study.images import Picture
from p2pacs.study.study_index import InstanceEntry, LeftOut
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.outgoing import Addresses
from peer.ingest.incoming_files import IncomingFiles
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.retrieval.instances.instance_reader import Preview
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.viewport import ViewRequest, shown
from peer.retrieval.requester import Requester

STUDY = StudyId(bytes(range(16)))
PREVIEWS = 1000


def _known(number: int, instance: EncodedInstance, frames: int) -> Known:
    """Its preview is chunk ``PREVIEWS + number``, if it has frames to show, the rest ``number``."""
    entry = InstanceEntry(
        instance.sop_class_uid,
        instance.sop_instance_uid,
        "1.2.3",
        instance.transfer_syntax_uid,
        hashlib.sha256(instance.data).digest(),
        len(instance.data),
        (),
        b"{}",
        frames=frames,
    )
    preview = ((2, (PREVIEWS + number,)),) if frames else ()
    return Known(number, entry, (number,), 1, (*preview, (0, (number,))), place=number)


@define
class FakeCursor:
    fetch: FakeFetch
    given: int = 0

    async def next(self) -> Known | None:
        fetch = self.fetch
        await trio.lowlevel.checkpoint()
        if self.given == fetch.stops_after:
            if fetch.error is not None:
                raise fetch.error
            await trio.sleep_forever()
        if self.given == len(fetch.known):
            return None
        self.given += 1
        return fetch.known[self.given - 1]


@define
class FakeFetch:
    """A study whose chunks are all here, but for those that a test lets arrive."""

    instances: Sequence[EncodedInstance]
    study: StudyId = STUDY
    stops_after: int | None = None
    error: P2PacsError | None = None
    given_up: bool = False
    users: int = 0
    reads: list[int] = field(factory=list)
    frames: int = 0
    """Of each instance that can be shown."""
    shown: list[tuple[int, int | None, int | None]] = field(factory=list)
    unshown: dict[int, P2PacsError] = field(factory=dict)
    missing: set[int] = field(factory=set)
    news: Bell = field(factory=Bell)
    current: bool = True
    settled: bool = True
    left_out: LeftOut = field(factory=LeftOut)

    @cached_property
    def known(self) -> list[Known]:
        return [_known(n, one, self.frames) for n, one in enumerate(self.instances, 1)]

    @property
    def present(self) -> list[Known]:
        return self.known

    @property
    def transfer(self) -> FakeFetch:
        return self

    @property
    def have(self) -> set[int]:
        return {
            n for one in self.known for _, numbers in one.levels for n in numbers
        } - self.missing

    def arrive(self, *numbers: int) -> None:
        self.missing.difference_update(numbers)
        self.news.ring()

    def mark(self) -> tuple[object, ...]:
        return ()

    async def refresh(self) -> None:
        await trio.lowlevel.checkpoint()

    async def moved(self, _since: tuple[object, ...]) -> None:
        if self.error is not None and self.stops_after is None:
            raise self.error
        await self.news.wait()

    async def preview(self, known: Known, frame: int | None, level: int | None) -> Preview:
        self.shown.append((known.number, frame, level))
        if known.number in self.unshown:
            raise self.unshown[known.number]
        if not self.frames or PREVIEWS + known.number in self.missing:
            raise NotFoundError("nothing to show (yet)")
        return Preview(2, Picture(8, 8, 1, bytes([200] * 64)))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def cursor(self, *, again: bool) -> FakeCursor:
        del again
        return FakeCursor(self)

    def instance(self, number: int) -> Known:
        if not 0 < number <= len(self.instances):
            raise NotFoundError("no such instance")
        return self.known[number - 1]

    async def read(self, known: Known) -> EncodedInstance:
        self.reads.append(known.number)
        return self.instances[known.number - 1]

    async def excerpts(self, known: Known) -> FakeExcerpts:
        self.reads.append(known.number)
        return FakeExcerpts(self.instances[known.number - 1].data)

    async def run(self, excerpts: FakeExcerpts, reading: Reading[bytes]) -> bytes:
        await trio.lowlevel.checkpoint()
        return run(reading, lambda first, end: excerpts.data[first:end])

    def give_up(self) -> None:
        self.given_up = True


@frozen
class FakeExcerpts:
    """Satisfies `p2pacs.study.excerpt.Excerpts`, as far as large instances are read by it."""

    data: bytes

    def slices(self, most: int) -> Iterator[tuple[int, int]]:
        for at in range(0, len(self.data), most):
            yield at, min(at + most, len(self.data))


@define
class FakePeer:
    """Satisfies `peer.api.api.ServedPeer`, its reads included."""

    fetch: FakeFetch = field(factory=lambda: FakeFetch(()))
    error: P2PacsError | None = None
    asked: list[dict[str, str]] = field(factory=list)
    opened: list[str] = field(factory=list)
    priorities: list[Priority] = field(factory=list)
    views: list[ViewRequest | None] = field(factory=list)
    found: list[JsonObject] = field(factory=lambda: [{"patient_id": "P1"}])
    role: str = "hospital"
    before: int = 0
    """Bytes that had come before anybody asked."""
    incoming: IncomingFiles | None = None
    sent: OutgoingDesk | None = None
    addresses: Addresses | None = None

    @property
    def reads(self) -> Any:
        return self

    async def open(self, uid: str, requester: Requester) -> FakeFetch:
        assert (requester.caller, requester.purpose) == ("command", "command")
        self.priorities.append(requester.priority)
        if self.error is not None:
            raise self.error
        self.opened.append(uid)
        return self.fetch

    def get(self, study: StudyId) -> FakeFetch:
        if study != self.fetch.study or not self.opened:
            raise StudyNotFoundError("fetch it first")
        return self.fetch

    def prioritise(self, study: StudyId, priority: Priority) -> None:
        self.get(study)
        self.priorities.append(priority)

    def look(self, study: StudyId, view: ViewRequest | None) -> tuple[int, int]:
        known = self.get(study).known
        self.views.append(view)
        return (len(list(shown(view, known))) if view else 0), len(known)

    async def status(self) -> JsonObject:
        return {"name": "a", "role": self.role, **await self.transfers()}

    async def reach(self) -> JsonObject:
        return {"clock": -90.0, "reached": ["10.0.0.1:4711"], "missed": ["north.example:4711"]}

    async def find(self, keys: dict[str, str], *, sent: bool = False) -> list[JsonObject]:
        self.asked.append({**keys, "sent": "yes"} if sent else keys)
        return self.found

    async def transfers(self) -> JsonObject:
        received = sum(len(one.data) for one in self.fetch.instances)
        return {"transfers": [transfer_of(received)], "uploads": []}

    async def transfer(self, _transfer: object) -> JsonObject:
        await trio.lowlevel.checkpoint()
        return transfer_of(self.before, 2**30, seconds=2.5 if self.before else 0.0)

    def incoming_files(self) -> IncomingFiles:
        if self.incoming is None:
            raise StateError("this peer sends nothing")
        return self.incoming

    async def events(self) -> AsyncGenerator[JsonObject, None]:
        yield await self.transfers()
        await trio.sleep_forever()


def transfer_of(size: int, total: int | None = None, **more: object) -> JsonObject:
    """What the local interface says of a transfer from one replica."""
    total = size if total is None else total
    source = {"bytes": size, "rate": 1000, "in_flight": 0, "role": "replica", "linked": True}
    return {
        "study": str(STUDY),
        "state": "complete" if size == total else "fetching",
        "error": None,
        "priority": "interactive",
        "growing": False,
        "bytes_received": size,
        "bytes_held": size,
        "bytes_total": total,
        "in_flight": 0,
        "rate": 1000,
        "expected_seconds": (total - size) / 1000,
        "seconds": 2.5,
        "sources": {"replica": source},
        "further_sources": 0,
        "sent_by": None,
        "sent_at": None,
        "stat": False,
        "read": False,
        **more,
    }
