from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from p2pacs.concurrency.budget import Budget
from p2pacs.errors import CodingError, CorruptStoreError, ManifestError
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.publish.context import PublishContext
from p2pacs.publish.previous import load_or_recover, load_published
from p2pacs.publish.version_writer import PublishHooks
from p2pacs.study.manifest import sign_root
from tests.broker.publish.bench import SIGNING, Bench, bench, coded
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


# ---------------------------------------------------------------- what a publication goes on from


def context(
    b: Bench,
    recover: Callable[[StudyId], Awaitable[bool]],
    announced: list[tuple[int, bool]] | None = None,
) -> PublishContext:
    async def announce(_study: StudyId, version: int, complete: bool) -> None:
        await trio.lowlevel.checkpoint()
        assert announced is not None
        announced.append((version, complete))

    async def make_room() -> bool:
        raise AssertionError

    hooks = PublishHooks(announce, make_room)
    sign, budget = partial(sign_root, key=SIGNING), Budget(1 << 20)
    return PublishContext(
        b.pacs, b.store, b.keys, sign, SIGNING.public, hooks, recover, budget, coded, 32768
    )


async def nobody(_study: StudyId) -> bool:
    await trio.lowlevel.checkpoint()
    return False


async def test_a_study_that_never_was_is_asked_of_nobody(tmp_path: Path) -> None:
    async def recover(_study: StudyId) -> bool:
        raise AssertionError

    async with bench(tmp_path) as b:
        key = await b.keys.ensure(UID)
        files = await b.store.study(b.keys.id_of(UID))
        assert await load_or_recover(context(b, recover), files, key) is None


async def test_what_nobody_heard_of_is_announced(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        progress = await b.publish(UID)
        files, key = await b.store.study(progress.study), b.keys.keys[progress.study]
        told: list[tuple[int, bool]] = []
        found = await load_or_recover(context(b, nobody, told), files, key)
        assert found is not None
        assert told == []
        b.keys.versions[progress.study] = progress.version - 1, False
        again = await load_or_recover(context(b, nobody, told), files, key)
        assert again is not None
        assert again.root == found.root
        assert told == [(progress.version, True)]


async def test_what_is_damaged_is_loaded_when_others_gave_it_back(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        progress = await b.publish(UID)
        files, key = await b.store.study(progress.study), b.keys.keys[progress.study]
        kept = [await files.read(number) for number in range(b.roots[-1].chunks)]
        before = await load_published(files, key, SIGNING.public)
        assert before is not None
        asked: list[StudyId] = []

        async def recover(study: StudyId) -> bool:
            asked.append(study)
            for number, data in enumerate(kept):
                await files.put(number, before.chunks.id(number), data)
            return True

        await files.cut_back(0)
        found = await load_or_recover(context(b, recover), files, key)
        assert asked == [progress.study]
        assert found is not None
        assert (found.root, found.index.instances) == (before.root, before.index.instances)


@pytest.mark.parametrize("is_promised", [False, True])
async def test_what_is_lost_leaves_the_number_of_its_last_version(
    tmp_path: Path, is_promised: bool
) -> None:
    """Also where somebody says that it gave it back, and did not: that is believed once."""
    asked: list[StudyId] = []

    async def recover(study: StudyId) -> bool:
        await trio.lowlevel.checkpoint()
        asked.append(study)
        return is_promised

    async with bench(tmp_path, make(UID)) as b:
        progress = await b.publish(UID)
        await b.store.drop(progress.study)
        files, key = await b.store.study(progress.study), b.keys.keys[progress.study]
        found = await load_or_recover(context(b, recover), files, key)
        assert found is not None
        assert (found.root.version, found.root.chunks) == (progress.version, 0)
        assert not found.index.instances
        assert asked == [progress.study]
