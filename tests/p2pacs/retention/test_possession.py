import hashlib
from collections.abc import Iterable, Sequence

import pytest
import trio
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield
from p2pacs.errors import CorruptStoreError, NotFoundError
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.retention.possession import Challenge, holds_whole
from p2pacs.study.manifest import Root, sign_root

KEY = SigningKey.generate()
STUDY = StudyId(bytes(16))
ROOT = Root(STUDY, 3, True, 32768, 2, 200, (ChunkId(bytes(32)),), ())
A, B = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))


@define
class Held:
    root: bytes | None
    have: Bitfield
    chunks: dict[int, bytes] = field(factory=dict)
    rotten: set[int] = field(factory=set)
    flushed: bool = False
    read: list[int] = field(factory=list)

    async def flush(self) -> None:
        self.flushed = True

    async def read_many(self, numbers: Sequence[int], *, verify: bool = False) -> list[bytes]:
        assert verify
        self.read.append(len(numbers))
        if self.rotten.intersection(numbers):
            raise CorruptStoreError("rotten")
        if not self.chunks.keys() >= set(numbers):
            raise NotFoundError("not held")
        return [self.chunks[number] for number in numbers]


@define
class Store:
    held: dict[StudyId, Held] = field(factory=dict)

    def holds(self, study: StudyId) -> bool:
        return study in self.held

    async def study(self, study: StudyId) -> Held:
        return self.held[study]


def _held(numbers: Iterable[int], root: Root | None = ROOT) -> Held:
    return Held(None if root is None else sign_root(root, KEY), Bitfield(numbers))


async def _whole(held: Held | None, version: int = 3) -> bool:
    store = Store({} if held is None else {STUDY: held})
    return await holds_whole(store, KEY.public, STUDY, version)


@pytest.mark.parametrize("version", [1, 3])
async def test_a_whole_copy_is_on_disk_before_it_is_told(version: int) -> None:
    held = _held([0, 1])
    assert await _whole(held, version)
    assert held.flushed


@pytest.mark.parametrize(
    "held",
    [
        None,
        _held([0, 1], None),
        _held([0]),
        _held([0, 1], evolve(ROOT, complete=False)),
        _held([0, 1], evolve(ROOT, version=2)),
    ],
    ids=["nothing", "no root", "a chunk is missing", "growing", "older"],
)
async def test_anything_less_is_no_copy(held: Held | None) -> None:
    assert not await _whole(held)


# ---------------------------------------------------------------- proofs

CHUNKS = {number: hashlib.sha256(bytes([number])).digest() * 10 for number in range(200)}


def challenge(numbers: Iterable[int] = CHUNKS) -> Challenge:
    return Challenge.fresh(STUDY, A, B, Bitfield(numbers))


def holding(chunks: dict[int, bytes]) -> Held:
    return Held(None, Bitfield(chunks), chunks)


async def test_equal_bytes_prove_the_same() -> None:
    demand = challenge()
    mine, theirs = holding(CHUNKS), holding({**CHUNKS, 900: b"of a newer version"})
    assert await demand.prove(mine) == await demand.prove(theirs)
    assert max(mine.read) <= 64, "never the whole study in memory"


@given(st.integers(0, 199), st.integers(0, 319))
def test_every_byte_counts(number: int, at: int) -> None:
    changed = bytearray(CHUNKS[number])
    changed[at] ^= 1
    demand, other = challenge(), holding({**CHUNKS, number: bytes(changed)})

    async def differ() -> bool:
        return await demand.prove(holding(CHUNKS)) != await demand.prove(other)

    assert trio.run(differ)


async def test_nothing_can_be_proved_beforehand_or_for_another() -> None:
    demand = challenge()
    proofs = [
        await one.prove(holding(CHUNKS))
        for one in (
            demand,
            challenge(),
            evolve(demand, prover=A),
            evolve(demand, asker=B),
            evolve(demand, study=StudyId(bytes([1] * 16))),
            evolve(demand, numbers=Bitfield(range(199))),
        )
    ]
    assert len(set(proofs)) == len(proofs)


async def test_the_bytes_cannot_be_moved_between_chunks() -> None:
    demand = challenge([0, 1])
    one = await demand.prove(holding({0: b"ab", 1: b"c"}))
    assert one != await demand.prove(holding({0: b"a", 1: b"bc"}))
    assert one != await demand.prove(holding({0: b"c", 1: b"ab"}))


async def test_what_is_missing_or_rotten_is_not_proved() -> None:
    with pytest.raises(NotFoundError):
        await challenge().prove(holding({n: data for n, data in CHUNKS.items() if n != 77}))
    held = holding(CHUNKS)
    held.rotten.add(150)
    with pytest.raises(CorruptStoreError):
        await challenge().prove(held)


async def test_what_the_asker_gets_later_is_not_of_the_challenge() -> None:
    mine = Bitfield([0])
    demand = Challenge.fresh(STUDY, A, B, mine)
    mine.add(1)
    assert list(demand.numbers) == [0]
