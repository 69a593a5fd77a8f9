"""What the store has of studies, as pages are told: a real store, roots of a key of the test."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.manifest import Root, sign_root
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.presence import HeldPart

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
STUDY = StudyId(bytes(16))
ROOT = Root(STUDY, 3, True, 32768, 2, 200, (ChunkId(bytes(32)),), ())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ChunkStore]:
    async with open_store(tmp_path) as opened:
        yield opened


async def put(store: ChunkStore, number: int) -> None:
    data = bytes([number]) * 100
    study = await store.study(STUDY)
    await study.put(number, ChunkId(hashlib.sha256(data).digest()), data)
    await study.flush()


async def put_root(store: ChunkStore, root: Root, key: SigningKey = KEY) -> None:
    await (await store.study(STUDY)).put_root(sign_root(root, key), version=root.version)


async def test_nothing_is_held_of_what_was_never_here(store: ChunkStore) -> None:
    assert await HeldParts(store, KEY.public).of(STUDY) is None


async def test_a_study_is_whole_once_all_its_chunks_are_here(store: ChunkStore) -> None:
    held = HeldParts(store, KEY.public)
    await put_root(store, ROOT)
    await put(store, 0)
    assert await held.of(STUDY) == HeldPart(1, 2, False, 3)
    await put(store, 1)
    assert await held.of(STUDY) == HeldPart(2, 2, True, 3)
    (await store.study(STUDY)).pin(pinned=True)
    assert await held.of(STUDY) == HeldPart(2, 2, True, 3, pinned=True)


async def test_a_newer_version_is_looked_at_anew(store: ChunkStore) -> None:
    held = HeldParts(store, KEY.public)
    await put_root(store, evolve(ROOT, version=2, complete=False))
    await put(store, 0)
    await put(store, 1)
    assert await held.of(STUDY) == HeldPart(2, 2, False, 2)
    await put_root(store, ROOT)
    assert await held.of(STUDY) == HeldPart(2, 2, True, 3)


async def test_a_root_of_nobody_we_know_says_nothing(store: ChunkStore) -> None:
    await put_root(store, ROOT, OTHER)
    await put(store, 0)
    assert await HeldParts(store, KEY.public).of(STUDY) == HeldPart(1, 0, False, 0)
