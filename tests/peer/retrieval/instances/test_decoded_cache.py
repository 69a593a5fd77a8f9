import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import LocalError
from p2pacs.limits import MIB
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.decoded_cache import (
    CacheTuning,
    DecodedCache,
    Place,
    Ring,
    open_decoded_cache,
    sealed_bytes,
)
from tests.waiting import eventually

ROOMY = CacheTuning(reserve=0, share=1)


def entry(data: bytes) -> InstanceEntry:
    return InstanceEntry(
        "1.2", "1.3", "1.4", "1.5", hashlib.sha256(data).digest(), len(data), (), b""
    )


def instance(data: bytes) -> EncodedInstance:
    return EncodedInstance("1.2", "1.3", "1.5", data)


@asynccontextmanager
async def running(cache: DecodedCache) -> AsyncIterator[DecodedCache]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.run)
        yield cache
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def opened(
    folder: Path, capacity: int, tuning: CacheTuning = ROOMY
) -> AsyncIterator[DecodedCache]:
    async with open_decoded_cache(folder, capacity, tuning) as cache, running(cache):
        yield cache


async def keep(cache: DecodedCache, *all_data: bytes) -> None:
    for data in all_data:
        cache.put(entry(data).sha256, data)
        await eventually(lambda data=data: cache.holds(entry(data)))  # type: ignore[misc]


# ---------------------------------------------------------------- where they lie


@given(st.lists(st.integers(1, 100), max_size=60))
def test_no_two_instances_lie_in_the_same_place(sizes: list[int]) -> None:
    ring, positions = Ring(400), set()
    for number, size in enumerate(sizes):
        place = ring.reserve(size)
        ring.add(bytes([number]), place)
        positions.add(place.position)
        lying = [one for at in range(number + 1) if (one := ring.find(bytes([at]))) is not None]
        assert place in lying
        stretches = sorted((ring.offset(one), sealed_bytes(one.size)) for one in lying)
        ends = [offset + length for offset, length in stretches]
        assert all(end <= offset for end, (offset, _) in zip(ends, stretches[1:], strict=False))
        assert ends[-1] <= ring.capacity
    assert len(positions) == len(sizes)


def test_the_oldest_make_room() -> None:
    ring = Ring(300)
    for digest in (b"a", b"b", b"c"):
        ring.add(digest, ring.reserve(80))
    assert ring.find(b"a") == Place(0, 80)
    ring.add(b"d", ring.reserve(80))
    assert ring.find(b"a") is None
    assert all(ring.find(digest) for digest in (b"b", b"c", b"d"))
    ring.clear()
    assert not ring
    assert ring.reserve(80).position == 396  # never given before


# ---------------------------------------------------------------- keeping and reading


@pytest.mark.parametrize("size", [1, 100, MIB, MIB + 1, 3 * MIB + 7])
async def test_what_was_kept_comes_back(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    async with opened(tmp_path, 8 * MIB) as cache:
        assert await cache.get(entry(data)) is None
        await keep(cache, data)
        assert await cache.get(entry(data)) == instance(data)
        assert await cache.get(evolve(entry(data), size=size + 1)) is None


@pytest.mark.parametrize("size", [1, MIB, 3 * MIB + 7])
async def test_it_comes_into_a_buffer_of_its_size_alone(tmp_path: Path, size: int) -> None:
    data, buffer = os.urandom(size), memoryview(bytearray(size + 1))
    async with opened(tmp_path, 8 * MIB) as cache:
        assert not await cache.get_into(entry(data), buffer[:size])
        await keep(cache, data)
        assert not await cache.get_into(entry(data), buffer)
        assert await cache.get_into(entry(data), buffer[:size])
        assert buffer == data + b"\0"


async def test_many_pass_through_a_small_cache(tmp_path: Path) -> None:
    all_data = [os.urandom(300 + number) for number in range(40)]
    async with opened(tmp_path, 2000) as cache:
        for data in all_data:
            await keep(cache, data)
            assert await cache.get(entry(data)) == instance(data)
        held = [data for data in all_data if await cache.get(entry(data)) is not None]
        assert held == all_data[-len(held) :]
        assert 3 <= len(held) <= 6


async def test_those_that_are_kept_at_once_do_not_overwrite_each_other(tmp_path: Path) -> None:
    all_data = [os.urandom(300 + number) for number in range(40)]
    async with open_decoded_cache(tmp_path, 2000, ROOMY) as cache:
        async with trio.open_nursery() as nursery:
            for data in all_data:
                nursery.start_soon(cache.keep, entry(data).sha256, data)
        held = [data for data in all_data if cache.holds(entry(data))]
        assert len(held) == len(cache) >= 3
        for data in held:
            assert await cache.get(entry(data)) == instance(data)


async def test_what_rotted_is_not_given(tmp_path: Path) -> None:
    data, other = os.urandom(2 * MIB), os.urandom(100)
    async with opened(tmp_path, 8 * MIB) as cache:
        await keep(cache, data, other)
        for offset in (MIB + 50, sealed_bytes(len(data)) + 3):
            rotten = bytes([os.pread(cache.handle, 1, offset)[0] ^ 1])
            os.pwrite(cache.handle, rotten, offset)
        assert await cache.get(entry(data)) is None
        assert await cache.get(entry(other)) is None
        assert len(cache) == 0
        await keep(cache, data)  # decoded anew
        assert await cache.get(entry(data)) == instance(data)


async def test_what_was_cut_off_is_not_given(tmp_path: Path) -> None:
    async with opened(tmp_path, 8 * MIB) as cache:
        await keep(cache, b"one" * 1000)
        os.ftruncate(cache.handle, 100)
        assert await cache.get(entry(b"one" * 1000)) is None


async def test_nothing_can_be_read_on_the_disk(tmp_path: Path) -> None:
    data = "Grün^Zoë".encode() * 1000
    async with opened(tmp_path, 8 * MIB) as cache:
        await keep(cache, data)
        assert list(tmp_path.iterdir()) == []
        lies = os.pread(cache.handle, 2 * len(data), 0)
        assert len(lies) == sealed_bytes(len(data))
        assert "Zoë".encode() not in lies


async def test_what_is_not_what_it_should_be_is_not_kept(tmp_path: Path) -> None:
    async with opened(tmp_path, 8 * MIB) as cache:
        cache.put(entry(b"right").sha256, b"wrong")
        await keep(cache, b"next")
        assert await cache.get(evolve(entry(b"right"), size=5)) is None
        assert len(cache) == 1


async def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    async with opened(tmp_path, 4000, CacheTuning(reserve=0)) as cache:
        cache.put(entry(bytes(1001)).sha256, bytes(1001))
        await keep(cache, bytes(900))
        assert len(cache) == 1


async def test_what_comes_faster_than_it_is_written_is_not_all_kept(tmp_path: Path) -> None:
    tuning = CacheTuning(reserve=0, share=1, waiting_bytes=250)
    async with open_decoded_cache(tmp_path, 10_000, tuning) as cache:
        for number in range(5):
            cache.put(entry(bytes([number]) * 100).sha256, bytes([number]) * 100)
        async with running(cache):
            await keep(cache, b"last")
        assert len(cache) == 3


async def test_without_room_nothing_is_kept(tmp_path: Path) -> None:
    async with opened(tmp_path, 0) as cache:
        cache.put(entry(b"data").sha256, b"data")
        assert await cache.get(entry(b"data")) is None


# ---------------------------------------------------------------- a full disk


class _Disk(DecodedCache):
    free = 10 * MIB

    def _room(self) -> int:
        return self.free


@contextmanager
def on_disk(folder: Path, flags: int, tuning: CacheTuning) -> Iterator[_Disk]:
    handle = os.open(folder / "file", os.O_CREAT | flags, 0o600)
    try:
        yield _Disk(handle, folder, MIB, tuning)
    finally:
        os.close(handle)


async def test_it_gives_way_where_the_disk_fills(tmp_path: Path) -> None:
    first, second = b"a" * 1000, b"b" * 1000
    tuning = CacheTuning(reserve=6 * MIB, share=1)
    with on_disk(tmp_path, os.O_RDWR, tuning) as cache:
        await cache.keep(entry(first).sha256, first)
        cache.free = 4 * MIB  # less than it leaves: nothing more is kept
        await cache.keep(entry(second).sha256, second)
        assert cache.holds(entry(first))
        assert not cache.holds(entry(second))
        cache.free = 2 * MIB
        await cache.give_way()
        assert len(cache) == 0
        assert (tmp_path / "file").stat().st_size == 0
        cache.free = 10 * MIB
        await cache.keep(entry(first).sha256, first)
        assert await cache.get(entry(first)) == instance(first)


async def test_it_looks_at_the_disk_by_itself(tmp_path: Path) -> None:
    with on_disk(tmp_path, os.O_RDWR, CacheTuning(reserve=6 * MIB, share=1, look=0.01)) as cache:
        await cache.keep(entry(b"data").sha256, b"data")
        async with running(cache):
            cache.free = 0
            await eventually(lambda: len(cache) == 0)


async def test_a_disk_that_refuses_keeps_nothing(tmp_path: Path) -> None:
    with on_disk(tmp_path, os.O_RDONLY, ROOMY) as cache:
        await cache.keep(entry(b"data").sha256, b"data")
        assert len(cache) == 0
        assert await cache.get(entry(b"data")) is None


async def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot make a file"):
        async with open_decoded_cache(tmp_path / "none", MIB):
            pass  # pragma: no cover
