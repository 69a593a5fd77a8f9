import trio
from trio.testing import wait_all_tasks_blocked

from p2pacs.wire.link.outbox import BATCH_BYTES, FRAME_COST, Outbox


async def test_control_goes_first_in_one_piece() -> None:
    outbox = Outbox()
    results: list[bool] = []

    async def put(frame: bytes) -> None:
        results.append(await outbox.put_blocks(frame))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, b"block")
        await wait_all_tasks_blocked()
        outbox.put(b"one ")
        outbox.put(b"two ")
        assert outbox.control_bytes == 8 + 2 * FRAME_COST
        assert outbox.take() == b"one two block"
    assert results == [True]
    assert outbox.empty
    assert outbox.control_bytes == 0
    assert outbox.take() == b""


async def test_a_batch_is_bounded() -> None:
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(outbox.put_blocks, bytes(BATCH_BYTES // 2))
        await wait_all_tasks_blocked()
        assert [len(outbox.take()) for _ in range(3)] == [
            BATCH_BYTES,
            BATCH_BYTES,
            BATCH_BYTES // 2,
        ]


async def test_control_is_given_in_batches_too_and_blocks_come_after_all_of_it() -> None:
    outbox = Outbox()
    frames = [bytes([number]) * (BATCH_BYTES // 2) for number in range(5)]
    outbox.put_block(b"block")
    for frame in frames:
        outbox.put(frame)
    assert outbox.take() == frames[0] + frames[1]
    assert outbox.control_bytes == sum(len(frame) + FRAME_COST for frame in frames[2:])
    assert outbox.take() == frames[2] + frames[3]
    assert outbox.take() == frames[4] + b"block"
    assert outbox.control_bytes == 0


async def test_a_cancelled_block_is_not_sent() -> None:
    outbox = Outbox()
    with trio.move_on_after(0):
        await outbox.put_blocks(b"block")
    assert outbox.empty


async def test_blocks_for_which_nobody_waits_keep_their_place() -> None:
    outbox = Outbox()
    results: list[bool] = []

    async def put() -> None:
        results.append(await outbox.put_blocks(b"second "))

    async with trio.open_nursery() as nursery:
        outbox.put_block(b"first ")
        assert not outbox.empty
        nursery.start_soon(put)
        await wait_all_tasks_blocked()
        outbox.put_block(b"third")
        outbox.put(b"control ")
        assert outbox.take() == b"control first second third"
        assert outbox.empty
    assert results == [True]
    outbox.put_block(b"dropped")
    outbox.drop_blocks()
    assert outbox.empty


async def test_dropped_blocks_are_not_taken() -> None:
    outbox = Outbox()
    results: list[bool] = []

    async def put() -> None:
        results.append(await outbox.put_blocks(b"block"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        await wait_all_tasks_blocked()
        outbox.drop_blocks()
    assert results == [False]


async def test_the_sending_task_wakes_up() -> None:
    outbox = Outbox()
    taken: list[bytes] = []

    async def send() -> None:
        while not taken or taken[-1] != b"last":
            if batch := outbox.take():
                taken.append(batch)
            else:
                await outbox.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        for frame in (b"first", b"second"):
            await wait_all_tasks_blocked()
            outbox.put(frame)
        await wait_all_tasks_blocked()
        outbox.put_block(b"block")
        await wait_all_tasks_blocked()
        outbox.put(b"last")
    assert taken == [b"first", b"second", b"block", b"last"]
