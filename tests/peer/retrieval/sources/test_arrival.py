"""What is mended on the way, in virtual time; with real transfers, chunks and members:
`test_study_fetch`, `test_rot`."""

from collections.abc import Callable, Iterable

import pytest
import trio

from p2pacs.errors import (
    CorruptStoreError,
    DiskFullError,
    NoSourceError,
    P2PacsError,
    UnavailableError,
)
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.sources.arrival import Arrival, ArrivalTuning
from peer.retrieval.sources.resolve import ResolvedStudy
from peer.retrieval.sources.supply import Supply

STUDY = StudyId(bytes(16))
MEMBERS = [VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in range(9)]


class World:
    """Starts transfers, and knows each time one member more."""

    def __init__(self, *, room: bool = False, is_complete: bool = False) -> None:
        self.room = room
        self.is_complete = is_complete
        self.asked = 0
        self.needed: list[int] = []
        self.begun: list[Transfer] = []
        self.priorities: list[Priority] = []
        self.arrival = Arrival(
            STUDY, Supply(self._start, self._again, self._make_room), self._note, ArrivalTuning()
        )
        self.arrival.begin(self.found(), Priority.INTERACTIVE)

    def found(self) -> ResolvedStudy:
        holders = tuple(MEMBERS[: self.asked + 1])
        return ResolvedStudy(STUDY, None, None, self.asked, holders, broker=False)

    def _start(self, found: ResolvedStudy, priority: Priority) -> Transfer:
        self.priorities.append(priority)
        if self.begun and self.begun[-1].state is TransferState.FETCHING:
            return self.begun[-1]
        transfer = Transfer(STUDY, Availability((), b""), priority)
        transfer.add_holders(found.holders)
        if self.is_complete:  # as the store says at once
            transfer.end(None)
        return transfer

    async def _again(self) -> ResolvedStudy:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        return self.found()

    async def _make_room(self, need: int) -> bool:
        await trio.lowlevel.checkpoint()
        self.needed.append(need)
        return self.room

    def _note(self, _found: ResolvedStudy) -> None:
        self.begun.append(self.arrival.transfer)

    def come(self, numbers: Iterable[int]) -> None:
        """These chunks are here."""
        for number in numbers:
            self.arrival.transfer.have.add(number)
        self.arrival.transfer.watch.changed()

    def lose(self, numbers: Iterable[int]) -> None:
        """These are not here any more."""
        for number in numbers:
            self.arrival.transfer.have.discard(number)


async def after(seconds: float, do: Callable[[], object]) -> None:
    await trio.sleep(seconds)
    do()


async def test_who_waits_for_chunks_reads_when_they_are_here(autojump_clock: object) -> None:
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 1, lambda: world.come([1]))
        nursery.start_soon(after, 2, lambda: world.come([4]))

        async def read() -> float:
            await trio.lowlevel.checkpoint()
            return trio.current_time()

        assert await world.arrival.mended([1, 4], read) >= 2
    assert world.asked == 0


async def test_what_stalls_is_asked_for_anew(autojump_clock: object) -> None:
    world = World()
    mark = world.arrival.mark()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 3.5 * ArrivalTuning().patience, lambda: world.come([0]))
        await world.arrival.moved(mark)
    assert world.asked == 3
    assert list(world.arrival.transfer.holders) == MEMBERS[:4]
    assert len(world.begun) == 1


async def test_what_has_rotted_is_fetched_again_and_told_in_the_end(autojump_clock: object) -> None:
    world = World()
    reads = 0

    async def rotten() -> None:
        nonlocal reads
        await trio.lowlevel.checkpoint()
        reads += 1
        world.arrival.transfer.end(None)
        world.lose([0])
        raise CorruptStoreError("rotten")

    async with trio.open_nursery() as nursery:

        async def bring() -> None:
            while True:
                world.come([0])
                await trio.sleep(1)

        nursery.start_soon(bring)
        with pytest.raises(CorruptStoreError):
            await world.arrival.mended([0], rotten)
        nursery.cancel_scope.cancel()
    assert reads == ArrivalTuning().mended + 1
    assert world.asked == ArrivalTuning().mended
    assert len(set(world.begun)) == ArrivalTuning().mended + 1


async def test_many_readers_that_find_rot_have_it_fetched_once(autojump_clock: object) -> None:
    world = World()
    world.arrival.transfer.end(None)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(world.arrival.restart, "rotten")
    assert world.asked == 1


@pytest.mark.parametrize("room", [False, True])
async def test_a_full_store_makes_room_or_says_so(autojump_clock: object, room: bool) -> None:
    world = World(room=room)
    world.arrival.transfer.end(DiskFullError("no room"))
    if room:
        await world.arrival.moved(world.arrival.mark())
        assert world.arrival.fetching
    else:
        with pytest.raises(DiskFullError):
            await world.arrival.moved(world.arrival.mark())
    assert world.needed == [0]


@pytest.mark.parametrize(
    ("error", "raised"), [(NoSourceError("nobody"), NoSourceError), (None, UnavailableError)]
)
async def test_what_cannot_be_mended_is_told(
    autojump_clock: object, error: P2PacsError | None, raised: type[P2PacsError]
) -> None:
    world = World()
    if error is None:
        world.arrival.stop("it was paused here")
    else:
        world.arrival.transfer.end(error)
    with pytest.raises(raised):
        await world.arrival.moved(world.arrival.mark())
    assert world.arrival.given_up == (error is None)


async def test_chunks_that_a_complete_study_lacks_are_fetched_again(autojump_clock: object) -> None:
    world = World()
    world.arrival.transfer.end(None)
    await world.arrival.moved(world.arrival.mark())
    assert world.arrival.fetching
    assert world.asked == 1


async def test_a_study_that_stays_incomplete_is_not_asked_for_without_end(
    autojump_clock: object,
) -> None:
    world = World(is_complete=True)
    with pytest.raises(UnavailableError, match="not whole here"):
        await world.arrival.moved(world.arrival.mark())
    assert world.asked == 1


async def test_giving_up_ends_it_and_beginning_goes_on_as_urgent_as_before() -> None:
    world = World()
    world.arrival.prioritise(Priority.STAT)
    assert world.arrival.transfer.priority is Priority.STAT
    world.arrival.give_up()
    assert world.arrival.given_up
    assert not world.arrival.fetching
    world.arrival.begin(world.found())
    assert not world.arrival.given_up
    assert world.priorities == [Priority.INTERACTIVE, Priority.STAT]
    world.arrival.transfer.end(None)
    world.arrival.give_up()
    assert not world.arrival.given_up, "there was nothing to give up"
