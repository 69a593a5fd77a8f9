from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import trio
import trio.testing

from p2pacs.errors import LinkClosedError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import REQUESTED_CHUNKS
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.upload.direct_sender import BATCH_CHUNKS, READ_AHEAD_BATCHES, DirectSender
from p2pacs.wire.messages.messages import Block

A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))
CT, MR = StudyId(bytes(16)), StudyId(bytes(15) + b"\1")


class SlowLink:
    """A link that is not paced, whose transport takes a batch only when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.waiting = trio.Event()
        self.free = trio.Event()
        self.closed = False

    async def send_blocks(self, *blocks: Block) -> None:
        self.waiting.set()
        await self.free.wait()
        if self.closed:
            raise LinkClosedError("closed")
        self.batches.append([block.number for block in blocks])

    @property
    def sent(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


class Shelf:
    """Chunks of 100 bytes; what is read, and what went to whom, is written down."""

    def __init__(self) -> None:
        self.rotten: set[int] = set()
        self.reads: list[list[int]] = []
        self.sent: dict[VirtualAddress, int] = {}

    async def read(
        self, member: VirtualAddress, study: StudyId, numbers: list[int]
    ) -> list[tuple[int, bytes]]:
        await trio.lowlevel.checkpoint()
        self.reads.append(numbers)
        return [(number, bytes(100)) for number in numbers if number not in self.rotten]

    def count(self, member: VirtualAddress, size: int) -> None:
        self.sent[member] = self.sent.get(member, 0) + size


@asynccontextmanager
async def sending(
    links: dict[VirtualAddress, SlowLink],
) -> AsyncIterator[tuple[DirectSender, Shelf]]:
    shelf = Shelf()
    sender = DirectSender(cast("dict[VirtualAddress, Connection]", links), shelf.read, shelf.count)
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        yield sender, shelf
        nursery.cancel_scope.cancel()


async def test_what_is_asked_for_while_the_last_batch_leaves_is_sent_too() -> None:
    link = SlowLink()
    async with sending({A: link}) as (sender, shelf):
        assert sender.ask(A, CT, [0, 1]) == []
        await link.waiting.wait()
        await trio.testing.wait_all_tasks_blocked()
        sender.ask(A, CT, [3, 2])
        link.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert link.sent == [0, 1, 3, 2]
        assert shelf.sent == {A: 400}


async def test_chunks_go_in_batches_of_one_study() -> None:
    link = SlowLink()
    link.free.set()
    async with sending({A: link}) as (sender, _):
        sender.ask(A, CT, range(BATCH_CHUNKS + 3))
        sender.ask(A, MR, [7, 8])
        await trio.testing.wait_all_tasks_blocked()
    first = list(range(BATCH_CHUNKS))
    assert link.batches == [first, [BATCH_CHUNKS + n for n in range(3)], [7, 8]]


async def test_no_more_is_read_ahead_than_is_allowed() -> None:
    link = SlowLink()
    async with sending({A: link}) as (sender, shelf):
        sender.ask(A, CT, range(100 * BATCH_CHUNKS))
        await trio.testing.wait_all_tasks_blocked()
        # one is being sent, those that wait, and one for which there is no room yet
        assert len(shelf.reads) == 1 + READ_AHEAD_BATCHES + 1
        assert max(map(len, shelf.reads)) == BATCH_CHUNKS


async def test_members_do_not_wait_for_each_other() -> None:
    stuck, quick = SlowLink(), SlowLink()
    quick.free.set()
    async with sending({A: stuck, B: quick}) as (sender, shelf):
        sender.ask(A, CT, [0])
        sender.ask(B, CT, [0, 1])
        await trio.testing.wait_all_tasks_blocked()
        assert quick.sent == [0, 1]
        assert shelf.sent == {B: 200}


async def test_what_cannot_be_read_is_left_out() -> None:
    link = SlowLink()
    link.free.set()
    async with sending({A: link}) as (sender, shelf):
        shelf.rotten = {1, 8, 9}
        sender.ask(A, CT, range(3))
        await trio.testing.wait_all_tasks_blocked()
        sender.ask(A, CT, [8, 9])
        sender.ask(A, CT, [5])
        await trio.testing.wait_all_tasks_blocked()
        assert link.sent == [0, 2, 5]
        assert shelf.sent == {A: 300}


async def test_what_is_cancelled_or_asked_by_who_is_gone_is_not_sent() -> None:
    one, other = SlowLink(), SlowLink()
    many = range(10 * BATCH_CHUNKS)
    async with sending({A: one, B: other}) as (sender, shelf):
        sender.ask(A, CT, many)
        sender.ask(B, CT, many)
        await trio.testing.wait_all_tasks_blocked()
        read = len(shelf.reads)
        sender.cancel(A, CT, many)
        sender.drop(B)
        one.free.set()
        other.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(shelf.reads) == read
        assert max(one.sent + other.sent) < read * BATCH_CHUNKS


async def test_a_link_that_closes_ends_its_pump_alone() -> None:
    link, new = SlowLink(), SlowLink()
    new.free.set()
    links = {A: link}
    async with sending(links) as (sender, shelf):
        sender.ask(A, CT, [0, 1])
        await trio.testing.wait_all_tasks_blocked()
        link.closed = True
        sender.drop(A)
        link.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert shelf.sent == {}
        links[A] = new
        sender.ask(A, CT, [5])
        await trio.testing.wait_all_tasks_blocked()
        assert new.sent == [5]


async def test_a_member_may_ask_for_so_much_at_a_time() -> None:
    link = SlowLink()
    async with sending({A: link}) as (sender, _):
        assert sender.ask(A, CT, range(REQUESTED_CHUNKS)) == []
        assert sender.ask(A, MR, [1, 2]) == [1, 2]


async def test_who_leaves_one_study_still_gets_the_other() -> None:
    link = SlowLink()
    async with sending({A: link}) as (sender, shelf):
        sender.ask(A, CT, range(10 * BATCH_CHUNKS))
        sender.ask(A, MR, [7])
        await trio.testing.wait_all_tasks_blocked()
        read = len(shelf.reads)
        sender.drop(A, CT)
        link.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert shelf.reads[read:] == [[7]]
        assert link.sent[-1] == 7
