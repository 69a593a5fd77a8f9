import pytest
import trio
import trio.testing

from p2pacs.bitfield import Bitfield
from p2pacs.errors import NoSourceError, UnavailableError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.download.transfer import SourceStats, Transfer, TransferState
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.source import Tier

Clock = trio.testing.MockClock
A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))


def transfer_of(chunks: int) -> tuple[Transfer, Availability]:
    availability = Availability((), b"")
    availability.grow([10] * chunks)
    return Transfer(StudyId(bytes(16)), availability), availability


async def test_waiting_for_chunks_prefers_them(autojump_clock: Clock) -> None:
    transfer, availability = transfer_of(5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transfer.wait_chunks, [3, 1])
        await trio.testing.wait_all_tasks_blocked()
        assert availability.rank(3) == availability.rank(1) == 0
        for number in (1, 3):
            transfer.have.add(number)
            transfer.watch.changed()


async def test_who_is_to_hurry_is_told_of_what_nobody_waited_for_before(
    autojump_clock: Clock,
) -> None:
    transfer, availability = transfer_of(5)
    told = list[set[int]]()
    transfer.on_want(lambda: told.append(set(availability.first)))
    source = availability.join(A, Tier.REPLICA, Bitfield(range(5)), offers=True)
    availability.ask(source, [4], 0.0)
    transfer.want([3, 1])
    transfer.want([1, 3])
    transfer.want([4])  # it is on its way
    transfer.want([2, 3])
    assert told == [{1, 3}, {1, 2, 3, 4}]
    transfer.on_want(None)
    transfer.want([0])
    assert len(told) == 2


async def test_every_wait_ends_with_the_transfer(autojump_clock: Clock) -> None:
    transfer, _ = transfer_of(5)

    async def expect(error: type[Exception]) -> None:
        with pytest.raises(error):
            await transfer.wait_complete()
        with pytest.raises(error):
            await transfer.wait_chunks([1])
        with pytest.raises(error):
            await transfer.wait_version(0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, NoSourceError)
        await trio.testing.wait_all_tasks_blocked()
        transfer.end(NoSourceError("gone"))
    assert transfer.state is TransferState.FAILED
    transfer.end(None)
    assert transfer.state is TransferState.FAILED


async def test_cancelling_says_so(autojump_clock: Clock) -> None:
    transfer, _ = transfer_of(1)
    transfer.cancel()
    with pytest.raises(UnavailableError, match="cancelled"):
        await transfer.wait_complete()
    assert transfer.ended is not None


async def test_holders_are_told_once(autojump_clock: Clock) -> None:
    transfer, _ = transfer_of(1)
    told: list[VirtualAddress] = []
    transfer.add_holders([A])
    transfer.on_holders(told.extend)
    transfer.add_holders([A, B])
    assert told == [B]
    assert list(transfer.holders) == [A, B]


async def test_sources_add_up(autojump_clock: Clock) -> None:
    transfer, availability = transfer_of(5)
    transfer.past_sources[A] = 7
    source = availability.join(A, Tier.REPLICA, Bitfield(range(5)))
    availability.join(B, Tier.REPLICA, Bitfield(range(5)))
    availability.ask(source, [0], 0.0)
    availability.moved(source, 0, 4, 0.5)
    assert transfer.sources == {A: SourceStats(11, 8.0, 6)}
