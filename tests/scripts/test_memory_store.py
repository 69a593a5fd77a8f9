import pytest

from p2pacs.errors import DiskFullError, NotFoundError
from p2pacs.ids import ChunkId, StudyId
from p2pacs.swarm.studies.chunks import ChunkStorage
from scripts.memory_store import MemoryStore

CT = StudyId(bytes(16))
ID = ChunkId(bytes(32))


async def test_it_keeps_what_it_is_given() -> None:
    store: ChunkStorage = MemoryStore()
    assert not store.holds(CT)
    study = await store.study(CT)
    await study.put(3, ID, b"three")
    await study.put_segment(ID, b"segment")
    await study.put_root(b"root", version=1)
    await study.flush()
    study.touch()
    assert store.holds(CT)
    assert (await store.study(CT)) is study
    assert await study.read_many([3], verify=True) == [b"three"]
    assert await study.segment(ID) == b"segment"
    assert study.root == b"root"
    with pytest.raises(NotFoundError):
        await study.read_many([4])


async def test_it_can_be_full_and_forget() -> None:
    store = MemoryStore(capacity=4)
    study = await store.study(CT)
    with pytest.raises(DiskFullError):
        await study.put(0, ID, b"five!")
    await store.drop(CT)
    assert study.dropped
    assert not store.holds(CT)
