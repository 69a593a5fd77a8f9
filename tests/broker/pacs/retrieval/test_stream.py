import pytest
import trio

from broker.pacs.retrieval.stream import Put, streamed
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsRefusedError, WrongStudyError


def instance(number: int) -> EncodedInstance:
    return EncodedInstance("1", str(number), "1.2", b"")


async def two(put: Put) -> None:
    await put(instance(1))
    await put(instance(2))


async def two_and_an_error(put: Put) -> None:
    await two(put)
    raise PacsRefusedError("no more")


async def test_what_is_put_is_taken() -> None:
    async with streamed(two) as stream:
        assert [one async for one in stream] == [instance(1), instance(2)]


async def test_an_error_comes_after_the_last_instance() -> None:
    taken: list[EncodedInstance] = []

    async def take_each() -> None:
        async with streamed(two_and_an_error) as stream:
            async for one in stream:
                taken.append(one)  # noqa: PERF401

    with pytest.raises(PacsRefusedError, match="no more"):
        await take_each()
    assert len(taken) == 2


async def test_leaving_early_ends_the_producer() -> None:
    ended = trio.Event()

    async def endless(put: Put) -> None:
        try:
            while True:
                await put(instance(1))
        finally:
            ended.set()

    async with streamed(endless) as stream:
        async for _ in stream:
            break
    assert ended.is_set()


async def test_an_error_of_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(WrongStudyError):
        async with streamed(two):
            raise WrongStudyError("mine")
