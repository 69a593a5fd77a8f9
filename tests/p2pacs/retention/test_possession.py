from collections.abc import Iterable

import pytest
from attrs import define, evolve, field

from p2pacs.bitfield import Bitfield
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.retention.possession import answer_whole
from p2pacs.study.manifest import Root, sign_root
from p2pacs.wire.messages import PossessionQuery

KEY = SigningKey.generate()
STUDY = StudyId(bytes(16))
ROOT = Root(STUDY, 3, True, 32768, 2, 200, (ChunkId(bytes(32)),), ())


@define
class Held:
    root: bytes | None
    have: Bitfield
    flushed: bool = False

    async def flush(self) -> None:
        self.flushed = True


@define
class Store:
    held: dict[StudyId, Held] = field(factory=dict)

    def holds(self, study: StudyId) -> bool:
        return study in self.held

    async def study(self, study: StudyId) -> Held:
        return self.held[study]


def _held(numbers: Iterable[int], root: Root | None = ROOT) -> Held:
    return Held(None if root is None else sign_root(root, KEY), Bitfield(numbers))


async def _answer(held: Held | None, version: int = 3) -> bool:
    store = Store({} if held is None else {STUDY: held})
    return (await answer_whole(store, KEY.public, PossessionQuery(1, STUDY.raw, version))).whole


@pytest.mark.parametrize("version", [1, 3])
async def test_a_whole_copy_is_on_disk_before_it_is_told(version: int) -> None:
    held = _held([0, 1])
    assert await _answer(held, version)
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
    assert not await _answer(held)
