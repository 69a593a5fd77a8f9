from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from p2pacs.errors import AccessError, KeyUnavailableError
from p2pacs.identity.keys import BoxKey, StudyKey, wrap
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import GRANT_INFO
from peer.db import PeerDatabase, grants, open_database
from peer.retrieval.sources.grants import Grants

STUDY = StudyId(bytes(16))


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[PeerDatabase]:
    async with open_database(tmp_path / "peer.db") as opened:
        yield opened


async def test_a_kept_grant_gives_the_key_after_a_restart(database: PeerDatabase) -> None:
    box, key = BoxKey.generate(), StudyKey.generate()
    wrapped = wrap(box.public, key, GRANT_INFO + STUDY.raw)
    assert (await Grants(database, box).keep(STUDY, wrapped)).reveal() == key.reveal()
    await Grants(database, box).keep(STUDY, wrapped)
    assert (await Grants(database, box).key(STUDY)).reveal() == key.reveal()


async def test_a_key_that_is_kept_is_not_written_again(database: PeerDatabase) -> None:
    box, key, other = BoxKey.generate(), StudyKey.generate(), StudyKey.generate()
    held = Grants(database, box)
    first, again, changed = (
        wrap(box.public, one, GRANT_INFO + STUDY.raw) for one in (key, key, other)
    )
    for wrapped, kept in ((first, first), (again, first), (changed, changed)):
        await held.keep(STUDY, wrapped)
        assert await _wrapped(database) == kept
    await held.forget(STUDY)
    await held.keep(STUDY, changed)
    assert await _wrapped(database) == changed


async def test_a_key_that_was_read_from_the_disk_is_not_written_again(
    database: PeerDatabase,
) -> None:
    """After a start: the index is read with it while the broker is asked for leave."""
    box, key = BoxKey.generate(), StudyKey.generate()
    first, again = (wrap(box.public, key, GRANT_INFO + STUDY.raw) for _ in range(2))
    await Grants(database, box).keep(STUDY, first)
    held = Grants(database, box)
    await held.key(STUDY)
    await held.keep(STUDY, again)
    assert await _wrapped(database) == first
    await held.forget(STUDY)
    await held.keep(STUDY, again)
    assert await _wrapped(database) == again


async def _wrapped(database: PeerDatabase) -> bytes:
    query = select(grants.c.wrapped_key)
    return bytes(await database.run(lambda connection: connection.execute(query).scalar_one()))


async def test_the_key_is_not_on_disk(database: PeerDatabase, tmp_path: Path) -> None:
    box, key = BoxKey.generate(), StudyKey.generate()
    await Grants(database, box).keep(STUDY, wrap(box.public, key, GRANT_INFO + STUDY.raw))
    assert key.reveal() not in b"".join(_files(tmp_path))


async def test_no_grant(database: PeerDatabase) -> None:
    with pytest.raises(KeyUnavailableError, match="try again when it is linked"):
        await Grants(database, BoxKey.generate()).key(STUDY)


async def test_a_grant_for_another_member_or_study_is_not_kept(database: PeerDatabase) -> None:
    box, other = BoxKey.generate(), BoxKey.generate()
    held = Grants(database, box)
    for wrapped in (
        wrap(other.public, StudyKey.generate(), GRANT_INFO + STUDY.raw),
        wrap(box.public, StudyKey.generate(), GRANT_INFO + bytes(15) + b"x"),
    ):
        with pytest.raises(AccessError):
            await held.keep(STUDY, wrapped)
    with pytest.raises(KeyUnavailableError):
        await held.key(STUDY)


async def test_a_forgotten_grant_is_gone(database: PeerDatabase) -> None:
    box = BoxKey.generate()
    held = Grants(database, box)
    await held.keep(STUDY, wrap(box.public, StudyKey.generate(), GRANT_INFO + STUDY.raw))
    await held.forget(STUDY)
    with pytest.raises(KeyUnavailableError):
        await held.key(STUDY)
