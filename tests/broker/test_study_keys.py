from functools import partial
from pathlib import Path

import pytest
import trio

from broker.database.db import open_database
from broker.study_keys import StudyKeys
from p2pacs.errors import AccessError
from p2pacs.identity.keys import BoxKey, Secret, StudyKey
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import GRANT_INFO

SECRET = Secret(b"s" * 32)


async def test_a_key_is_made_once_and_wrapped_on_disk(tmp_path: Path) -> None:
    box = BoxKey.generate()
    keys: list[StudyKey] = []
    async with open_database(tmp_path / "broker.db") as database:
        studies = StudyKeys(database, SECRET, box)

        async def ensure() -> None:
            keys.append(await studies.ensure("1.2.3"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ensure)
            nursery.start_soon(ensure)
        assert keys[0] == keys[1]
        assert await studies.ensure("1.2.4") != keys[0]
    assert keys[0].reveal() not in (tmp_path / "broker.db").read_bytes()
    async with open_database(tmp_path / "broker.db") as database:
        assert await StudyKeys(database, SECRET, box).ensure("1.2.3") == keys[0]
        with pytest.raises(AccessError):
            await StudyKeys(database, SECRET, BoxKey.generate()).ensure("1.2.3")


async def test_what_was_cut_off(tmp_path: Path) -> None:
    async with open_database(tmp_path / "broker.db") as database:
        studies = StudyKeys(database, SECRET, BoxKey.generate())
        for uid, version, complete in [
            ("1.1", 2, False), ("1.2", 3, True), ("1.3", 0, False), ("1.4", 1, False),
        ]:  # fmt: skip
            await studies.ensure(uid)
            if version:
                await studies.published(studies.id_of(uid), version, complete=complete)
        assert sorted(await studies.unfinished()) == ["1.1", "1.4"]
        assert sorted(one.uid for one in await studies.newest(9)) == ["1.1", "1.2", "1.4"]
        assert len(await studies.newest(2)) == 2


async def test_what_is_published(tmp_path: Path) -> None:
    async with open_database(tmp_path / "broker.db") as database:
        studies = StudyKeys(database, SECRET, BoxKey.generate())
        study = studies.id_of("1.2.3")
        assert study == StudyId.derive(b"s" * 32, "1.2.3")
        assert await studies.find(study) is None
        member = BoxKey.generate()
        wrap = partial(studies.wrapped, study=study, box_key=member.public)
        assert await database.run(wrap) == b""
        key = await studies.ensure("1.2.3")
        wrapped = await database.run(wrap)
        assert member.open(wrapped, GRANT_INFO + study.raw) == key
        found = await studies.find(study)
        assert found is not None
        assert (found.uid, found.version, found.complete) == ("1.2.3", 0, False)
        assert "1.2.3" not in repr(found)
        await studies.published(study, 4, complete=True)
        found = await studies.find(study)
        assert found is not None
        assert (found.version, found.complete) == (4, True)
