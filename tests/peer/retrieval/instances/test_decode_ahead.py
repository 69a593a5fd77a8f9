"""Studies that are decoded before somebody reads them."""

import hashlib
from pathlib import Path

import pytest
import trio
from attrs import define, field

from p2pacs.errors import CodingError, P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import InstanceEntry
from peer.app import Peer
from peer.config import PeerSettings
from peer.retrieval.instances.decode_ahead import DecodeAhead
from peer.retrieval.instances.live_index import Known
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import World, open_world
from tests.waiting import eventually

SIZE = 100


def known(number: int) -> Known:
    digest = hashlib.sha256(bytes([number])).digest()
    entry = InstanceEntry("1.2", f"1.3.{number}", "1.4", "1.5", digest, SIZE, (), b"")
    return Known(number, entry, (number,), 1, ((0, (number,)),))


@define
class Cache:
    """Holds what was decoded, or was before."""

    capacity: int = 10 * SIZE * 2
    digests: set[bytes] = field(factory=set)

    def holds(self, entry: InstanceEntry) -> bool:
        return entry.sha256 in self.digests


@define
class Idle:
    """Workers."""

    count: int = 1
    waiting: int = 0


@define(eq=False)
class Held:
    """A study of so many instances."""

    cache: Cache
    count: int = 4
    study: StudyId = samples.STUDY
    is_all_here: bool = True
    error: P2PacsError | None = None
    broken: int = 0
    decoded: list[int] = field(factory=list)
    at_once: int = 0
    most: int = 0

    @property
    def present(self) -> list[Known]:
        return [known(number) for number in range(1, self.count + 1)]

    async def refresh(self) -> None:
        if self.error is not None:
            raise self.error

    async def decode_ahead(self, known: Known) -> bool:
        if known.number == self.broken:
            raise CodingError("it does not decode")
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await trio.sleep(0.01)
        self.at_once -= 1
        self.decoded.append(known.number)
        self.cache.digests.add(known.entry.sha256)
        return True


def ahead(cache: Cache, workers: Idle, readers: set[str] | None = None) -> DecodeAhead:
    readers = set() if readers is None else readers
    return DecodeAhead(cache, workers, lambda: bool(readers))  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "most"), [(1, 1), (2, 1), (4, 3)])
async def test_all_in_order_and_one_worker_is_left_free(
    autojump_clock: trio.abc.Clock, count: int, most: int
) -> None:
    held = Held(Cache(), 9)
    await ahead(held.cache, Idle(count)).decode(held)
    in_order = held.decoded if most == 1 else sorted(held.decoded)
    assert in_order == list(range(1, 10))
    assert held.most == most


async def test_what_is_kept_is_not_decoded_again(autojump_clock: trio.abc.Clock) -> None:
    held = Held(Cache())
    held.cache.digests.add(known(2).entry.sha256)
    ready = ahead(held.cache, Idle())
    await ready.decode(held)
    await ready.decode(held)
    assert held.decoded == [1, 3, 4]


async def test_a_study_fills_half_of_the_cache(autojump_clock: trio.abc.Clock) -> None:
    held = Held(Cache(capacity=7 * SIZE))
    await ahead(held.cache, Idle()).decode(held)
    assert held.decoded == [1, 2, 3]


async def test_it_gives_way_to_who_reads_and_to_who_needs_workers(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    held, workers, readers = Held(Cache()), Idle(), {"AE"}
    nursery.start_soon(ahead(held.cache, workers, readers).decode, held)
    await trio.sleep(10)
    assert held.decoded == []
    readers.clear()
    workers.waiting = 1
    await trio.sleep(10)
    assert held.decoded == []
    workers.waiting = 0
    await trio.sleep(10)
    assert held.decoded == [1, 2, 3, 4]


async def test_one_study_after_the_other(autojump_clock: trio.abc.Clock) -> None:
    cache = Cache()
    first, second = Held(cache), Held(cache)
    ready = ahead(cache, Idle())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ready.decode, first)
        nursery.start_soon(ready.decode, second)
        await trio.sleep(0.005)
        assert first.at_once + second.at_once == 1
    assert first.decoded + second.decoded == [1, 2, 3, 4]  # of the same content


async def test_it_ends_where_a_study_goes_or_cannot_be_decoded(
    autojump_clock: trio.abc.Clock,
) -> None:
    cache = Cache()
    ready = ahead(cache, Idle())
    for held in (
        Held(cache, is_all_here=False),
        Held(cache, error=UnavailableError("the broker is away")),
        Held(cache, broken=1),
    ):
        await ready.decode(held)
        assert held.decoded == []


# ---------------------------------------------------------------- in a peer


async def fetched(world: World, peer: Peer) -> StudyFetch:
    await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
    fetch = await peer.reads.open(world.broker.uid, Requester("WORKSTATION", "get"))
    with fetch.in_use(), trio.fail_after(LIMIT):
        await fetch.ended()
    return fetch


async def test_a_study_that_came_is_decoded_for_who_will_read_it(tmp_path: Path) -> None:
    sent = [samples.smooth(number) for number in (1, 2)]
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        gateway = {"dicomweb": "127.0.0.1:0", "decode_ahead": True}
        peer = await world.add("a", gateway=gateway)
        fetch = await fetched(world, peer)
        await eventually(lambda: len(peer.decoded) == len(sent), LIMIT)
        assert [await fetch.decoded(known) for known in fetch.known] == sent


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"gateway": {"dicomweb": "127.0.0.1:0"}}, True),
        ({"dicom": "127.0.0.1:11112"}, True),
        ({"gateway": {"dicomweb": "127.0.0.1:0", "decode_ahead": False}}, False),
        ({}, False),
    ],
)
def test_where_nobody_can_read_nothing_is_decoded(
    said: dict[str, object], *, expected: bool
) -> None:
    settings = PeerSettings.model_validate({"name": "a", "listen": ["127.0.0.1:0"], **said})
    assert settings.decodes_ahead is expected
