import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from p2pacs.errors import CorruptStoreError, DiskFullError, StateError
from peer.db import audit, connect, open_database


def _add(connection: Connection) -> None:
    connection.execute(insert(audit).values(record=b"x"))


def _count(connection: Connection) -> int:
    return len(connection.execute(select(audit)).all())


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_database(tmp_path / "peer.db") as database:
        await database.run(_add)
    async with open_database(tmp_path / "peer.db") as database:
        assert await database.run(_count) == 1


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    async with open_database(tmp_path / "peer.db"):
        assert stat.S_IMODE((tmp_path / "peer.db").stat().st_mode) == 0o600


async def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        _add(connection)
        raise DiskFullError("in between")

    async with open_database(tmp_path / "peer.db") as database:
        with pytest.raises(DiskFullError):
            await database.run(fail)
        assert await database.run(_count) == 0


async def test_a_full_disk_has_its_own_error(tmp_path: Path) -> None:
    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.execute(insert(audit).values(record=bytes(100_000)))

    async with open_database(tmp_path / "peer.db") as database:
        with pytest.raises(DiskFullError, match="free space"):
            await database.run(fill)


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    async with open_database(tmp_path / "peer.db") as database:
        await database.run(lambda c: c.exec_driver_sql("PRAGMA user_version = 99"))
    with pytest.raises(StateError, match="newer"):
        async with open_database(tmp_path / "peer.db"):
            pass


def test_a_command_opens_it_beside_the_peer(tmp_path: Path) -> None:
    path = tmp_path / "peer.db"
    with closing(connect(path)) as one, closing(connect(path)) as two:
        one.transact(_add)
        assert two.transact(_count) == 1
        one.transact(lambda c: c.exec_driver_sql("PRAGMA user_version = 99"))
    with pytest.raises(StateError, match="newer"):
        connect(path)


async def test_a_damaged_file_has_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "peer.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(CorruptStoreError, match="move it away"):
        async with open_database(tmp_path / "peer.db"):
            pass
