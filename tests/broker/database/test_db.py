import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text

from broker.database import db
from broker.database.db import BrokerDatabase
from p2pacs.accounts.tables import accounts
from p2pacs.errors import CorruptStoreError, DiskFullError, StateError


async def test_transactions_commit_or_roll_back(tmp_path: Path) -> None:
    def add(connection: Connection) -> None:
        connection.execute(insert(accounts), {"name": "a", "password_hash": "x", "role": ""})

    def add_and_fail(connection: Connection) -> None:
        connection.execute(insert(accounts), {"name": "b", "password_hash": "x", "role": ""})
        raise KeyError

    async with db.open_database(tmp_path / "broker.db") as database:
        await database.run(add)
        with pytest.raises(KeyError):
            await database.run(add_and_fail)
        names = await database.run(lambda c: c.execute(select(accounts.c.name)).scalars().all())
    assert names == ["a"]
    assert (tmp_path / "broker.db").stat().st_mode & 0o777 == 0o600


def test_migrating_again_changes_nothing_and_back_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    db.migrate(path)
    db.migrate(path)
    database = db.connect(path)
    database.transact(lambda c: command.downgrade(db.migrations(c), "base"))
    with sqlite3.connect(path) as plain:
        names = [name for (name,) in plain.execute("SELECT name FROM sqlite_master")]
    assert not [name for name in names if not name.startswith(("alembic", "sqlite"))]


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    db.migrate(path)
    db.connect(path).transact(
        lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    with pytest.raises(StateError, match="made by a newer"):
        db.migrate(path)
    assert not _copies(path), "it was not touched"


def _older(path: Path) -> None:
    """Takes a database back by one revision."""
    database = db.connect(path)
    database.transact(lambda c: command.downgrade(db.migrations(c), "-1"))
    database.close()


def _copies(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.glob("broker.db.before-*"))


def test_what_is_upgraded_is_kept_as_it_was(tmp_path: Path) -> None:
    path, newest = tmp_path / "broker.db", db.newest_revision()
    db.migrate(path)
    db.migrate(path)
    assert not _copies(path), "nothing was upgraded"
    _older(path)
    with closing(sqlite3.connect(path)) as plain:
        (before,) = plain.execute("SELECT version_num FROM alembic_version").fetchone()
    assert before != newest
    db.migrate(path)
    assert _copies(path) == [f"broker.db.before-{newest}"]
    copy = tmp_path / f"broker.db.before-{newest}"
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchone() == (before,)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.replace(path)  # the way back
    db.migrate(path)
    assert db.connect(path).transact(read_revision) == newest


def read_revision(connection: Connection) -> str:
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_the_last_copies_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    db.migrate(path)
    for number in range(1, 6):
        (tmp_path / f"broker.db.before-000{number}").write_bytes(b"")
    (tmp_path / "broker.db.before-the-move").write_bytes(b"somebody's own")
    _older(path)
    db.migrate(path)
    kept = [f"broker.db.before-{one}" for one in ("0004", "0005", db.newest_revision())]
    assert _copies(path) == [*kept, "broker.db.before-the-move"]


def test_no_room_for_a_copy_is_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "broker.db"
    db.migrate(path)
    _older(path)
    before = path.read_bytes()

    def full(_copy: BrokerDatabase, _path: Path) -> None:
        raise DiskFullError("no room")

    monkeypatch.setattr(BrokerDatabase, "copy_to", full)
    with pytest.raises(DiskFullError):
        db.migrate(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptStoreError, match=r"broker\.db refuses: .*restore"):
        db.migrate(path)


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="restore it"):
        db.connect(tmp_path / "broker.db")


def test_counters_only_grow_and_begin_at_the_time_of_day(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    assert database.transact(lambda c: db.read_counter(c, "epoch")) == 0
    before = db.now()
    first = database.transact(lambda c: db.bump(c, "epoch"))
    second = database.transact(lambda c: db.bump(c, "epoch"))
    assert before <= first < second
    assert database.transact(lambda c: db.read_counter(c, "epoch")) == second
    told = second + 10**9
    assert database.transact(lambda c: db.bump(c, "epoch", above=told)) == told + 1
    assert database.transact(lambda c: db.bump(c, "epoch")) == told + 2


def test_two_programs_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    db.migrate(path)

    given: list[int] = []

    def work() -> None:
        database = db.connect(path)
        given.extend(database.transact(lambda c: db.bump(c, "directory")) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 40
    assert db.connect(path).transact(lambda c: db.read_counter(c, "directory")) == max(given)


def test_the_newest_revision_is_alembics_head(tmp_path: Path) -> None:
    database = db.BrokerDatabase(tmp_path / "broker.db")
    heads = database.transact(
        lambda connection: ScriptDirectory.from_config(db.migrations(connection)).get_heads()
    )
    database.close()
    assert heads == [db.newest_revision()]


def test_a_counter_that_is_locked_is_read_and_made_if_it_is_missing(tmp_path: Path) -> None:
    """That others wait meanwhile is tried on PostgreSQL; SQLite has one writer anyway."""
    path = tmp_path / "broker.db"
    db.migrate(path)
    database = db.connect(path)
    assert database.transact(lambda c: db.lock_counter(c, "directory")) == 0
    first = database.transact(lambda c: db.bump(c, "directory"))
    assert database.transact(lambda c: db.lock_counter(c, "directory")) == first
    assert database.transact(lambda c: db.read_counter(c, "directory")) == first
