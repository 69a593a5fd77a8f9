"""Large instances, piece by piece: exact, in order, and never looking whole where they are not."""

import hashlib
from pathlib import Path

import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import CodingError, UnavailableError, UsageError
from p2pacs.limits import MIB
from peer.retrieval.instances.live_index import Known
from peer.retrieval.large_reads import (
    PIECE_BYTES,
    ExactPieces,
    LargeRead,
    TakenInOrder,
    large_instance,
)
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.study import samples
from tests.p2pacs.study.test_reader import loaded
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import open_world
from tests.waiting import eventually

SIDE = 1024


def volume(number: int = 1, frames: int = 9) -> EncodedInstance:
    """More than may be in memory as a whole; smooth: it is coded in little time."""
    base = samples.smooth(number, SIDE).data[-2 * SIDE * SIDE :]
    pixels = b"".join(base[at * 2 :] + base[: at * 2] for at in range(frames))
    made = samples.instance(
        number, rows=SIDE, columns=SIDE, NumberOfFrames=frames, PixelData=pixels
    )
    assert len(made.data) > WHOLE_BYTES
    return made


def compressed(number: int = 1) -> EncodedInstance:
    """The same, compressed before it came."""
    fragments = b"".join(
        b"\xfe\xff\x00\xe0" + (MIB).to_bytes(4, "little") + samples.noise(n, MIB // 2)
        for n in range(18)
    )
    head = samples.instance(number, PixelData=b"", NumberOfFrames=18).data
    at = head.rindex(b"\xe0\x7f\x10\x00")
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0" + bytes(4)
    data = head[:at] + pixels + fragments + b"\xfe\xff\xdd\xe0" + bytes(4)
    uid = samples.instance(number).sop_instance_uid
    return EncodedInstance(samples.CT, uid, "1.2.840.10008.1.2.4.90", data)


async def pieces_of(fetch: StudyFetch, known: Known) -> list[bytes]:
    reading = LargeRead(fetch, known)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.run)
            return await all_of(reading)
    raise AssertionError


async def all_of(reading: LargeRead) -> list[bytes]:
    found = list[bytes]()
    while (piece := await reading.next()) is not None:
        found.append(piece)
    return found


@pytest.mark.parametrize("sent", [volume(), compressed()], ids=["native", "compressed"])
async def test_pieces_are_the_instance(tmp_path: Path, sent: EncodedInstance) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish([sent])
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        fetch = await peer.reads.open(world.broker.uid, Requester("me", "get"))
        with fetch.in_use(), trio.fail_after(LIMIT):
            known = await fetch.cursor().next()
            assert known is not None
            found = await pieces_of(fetch, known)
            assert b"".join(found) == sent.data
            assert max(map(len, found)) <= max(PIECE_BYTES, 2 * SIDE * SIDE)
            wrong = evolve(known, entry=evolve(known.entry, sha256=bytes(32)))
            with pytest.RaisesGroup(pytest.RaisesExc(CodingError, match="did not come out exact")):
                await pieces_of(fetch, wrong)


async def test_what_is_stopped_is_not_over(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish([volume()])
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        fetch = await peer.reads.open(world.broker.uid, Requester("me", "get"))
        with fetch.in_use(), trio.fail_after(LIMIT):
            known = await fetch.cursor().next()
            assert known is not None
            reading = LargeRead(fetch, known)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reading.run)
                assert await reading.next()
                nursery.cancel_scope.cancel()
            with pytest.raises(UnavailableError):
                await all_of(reading)


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.data())
def test_what_is_read_in_order_is_what_came(pieces: list[bytes], data: st.DataObject) -> None:
    whole, coming = b"".join(pieces), iter(pieces)
    taken = TakenInOrder(lambda: next(coming, None))
    at, found = 0, b""
    while at < len(whole):
        end = data.draw(st.integers(at + 1, len(whole)))
        assert taken.read(at, at) == b""
        found += taken.read(at, end)
        at = end
    assert found == whole
    with pytest.raises(UsageError):
        taken.read(at, at + 1)


def test_it_is_read_once() -> None:
    taken = TakenInOrder(iter([b"abc", None]).__next__)
    assert taken.read(0, 2) == b"ab"
    with pytest.raises(UsageError):
        taken.read(0, 1)
    with pytest.raises(UsageError):
        taken.read(3, 4)


def test_the_last_piece_is_not_given_of_what_is_not_exact() -> None:
    whole = samples.instance(1)
    shelf = samples.Shelf()
    shelf.publish([whole])

    entry = loaded(shelf).index.instances[whole.sop_instance_uid]
    assert entry.sha256 == hashlib.sha256(whole.data).digest()
    exact = ExactPieces(entry, "abc")
    assert exact.checked(whole.data[:9]) == whole.data[:9]
    assert exact.checked(whole.data[9:]) == whole.data[9:]
    wrong = ExactPieces(entry, "abc")
    wrong.checked(b"123456789")
    with pytest.raises(CodingError):
        wrong.checked(whole.data[9:])
    made = large_instance(entry, iter([whole.data, None]).__next__)
    assert (made.size, made.read(0, made.size)) == (len(whole.data), whole.data)
