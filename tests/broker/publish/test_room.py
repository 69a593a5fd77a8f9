from pathlib import Path

from broker.publish.room import Room
from p2pacs.ids import ChunkId, StudyId
from p2pacs.store import ChunkStore, open_store

STUDIES = [StudyId(bytes([n]) * 16) for n in range(4)]


async def fill(store: ChunkStore) -> None:
    for study in STUDIES:
        files = await store.study(study)
        await files.put(0, ChunkId.of(b"x"), b"x" * 1000)
        files.touch()


async def test_only_what_others_hold_in_whole_goes(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await fill(store)
        (await store.study(STUDIES[1])).pin()
        told: list[StudyId] = []
        copies = {STUDIES[0]: 1, STUDIES[1]: 2, STUDIES[2]: 0}
        room = Room(store, lambda study: copies.get(study, 0), told.append)
        assert await room.make()
        assert told == [STUDIES[0]]
        assert [store.holds(study) for study in STUDIES] == [False, True, True, True]
        assert not await room.make()
        assert store.used == 3000
