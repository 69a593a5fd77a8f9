from pathlib import Path

import pytest

from p2pacs.errors import CodingError, CorruptStoreError, ManifestError
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.publish.previous import load_published
from tests.broker.publish.bench import SIGNING, bench
from tests.conformance.instances import make

UID = "1.2.1"


async def test_what_is_out_is_loaded_again(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID), make(UID, 1, 2)) as b:
        progress = await b.publish(UID)
        files = await b.store.study(progress.study)
        key = b.keys.keys[progress.study]
        found = await load_published(files, key, SIGNING.public)
        assert found is not None
        assert found.root == b.roots[-1]
        assert set(found.index.instances) == {f"{UID}.1.1", f"{UID}.1.2"}
        assert len(found.chunks) == found.root.chunks


async def test_nothing_is_out(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        files = await b.store.study(StudyId(bytes(16)))
        assert await load_published(files, StudyKey.generate(), SIGNING.public) is None


async def test_damage_is_told_apart(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        progress = await b.publish(UID)
        files = await b.store.study(progress.study)
        key = b.keys.keys[progress.study]
        with pytest.raises(ManifestError):
            await load_published(files, key, SigningKey.generate().public)
        with pytest.raises(CodingError):
            await load_published(files, StudyKey.generate(), SIGNING.public)
        await files.cut_back(1)
        with pytest.raises(CorruptStoreError, match="index"):
            await load_published(files, key, SIGNING.public)
        assert files.root is not None
        await files.put_root(files.root, version=1, segments=[])
        with pytest.raises(CorruptStoreError, match="segments"):
            await load_published(files, key, SIGNING.public)


async def test_chunks_of_a_publication_that_broke_off_are_numbered_anew(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        progress = await b.publish(UID)
        files = await b.store.study(progress.study)
        out = b.roots[-1].chunks
        for number in range(out, out + 3):
            await files.put(number, b.roots[-1].segments[0], b"left behind")
        await files.flush()
        b.pacs.add(make(UID, 1, 2))
        await b.publish(UID)
        assert set(await b.held(UID)) == {f"{UID}.1.1", f"{UID}.1.2"}
    async with bench(tmp_path, keys=b.keys) as again:
        assert set(await again.held(UID)) == {f"{UID}.1.1", f"{UID}.1.2"}
