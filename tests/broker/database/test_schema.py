from pathlib import Path

import pytest
from alembic import command

from broker.database import db
from broker.database.schema import metadata
from p2pacs.accounts.people import Account, list_accounts, stored_hash
from p2pacs.errors import CorruptStoreError


def test_the_tables_are_those_that_migrations_build(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.check(db.migrations(c)))


def test_a_check_says_where_the_process_writes_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alembic's own default is the standard output of the moment when it was loaded, which may be
    closed."""
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.check(db.migrations(c)))
    assert "No new upgrade operations" in capsys.readouterr().out


def test_every_table_has_a_primary_key() -> None:
    assert [table.name for table in metadata.sorted_tables if not table.primary_key.columns] == []


def test_accounts_of_the_version_before_stay(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0002"))
    for row in (
        "admins VALUES ('anna', 'a hash')",
        "sessions VALUES (x'00', 'anna', 'csrf', 0, 0)",
        "failures VALUES ('sign-in:00', 1, 2, 3)",
    ):
        database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    db.migrate(tmp_path / "broker.db")
    assert database.transact(lambda c: stored_hash(c, "anna")) == "a hash"
    assert database.transact(list_accounts) == [Account("anna", "administrator")]


def test_who_could_sign_in_before_there_were_roles_may_do_everything(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0009"))
    database.transact(lambda c: c.exec_driver_sql("INSERT INTO accounts VALUES ('anna', 'hash')"))
    old = "INSERT INTO sessions VALUES (x'00', 'anna', 'csrf', 0, 0)"
    database.transact(lambda c: c.exec_driver_sql(old))
    db.migrate(tmp_path / "broker.db")
    assert database.transact(list_accounts) == [Account("anna", "administrator")]
    new = "INSERT INTO accounts (name, password_hash) VALUES ('bert', 'hash')"
    with pytest.raises(CorruptStoreError, match="role"):  # nobody gets it by mistake
        database.transact(lambda c: c.exec_driver_sql(new))


def test_replicas_of_the_version_before_read_nothing(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0006"))
    columns = "(address, name, role, read, read_version, registered, endpoints)"
    for values in ("x'fd01', 'Copy', 'replica'", "x'fd02', 'North', 'hospital'"):
        row = f"members {columns} VALUES ({values}, 'all', 0, 0, '')"
        database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    db.migrate(tmp_path / "broker.db")
    rules = database.transact(lambda c: c.exec_driver_sql("SELECT name, read FROM members").all())
    assert dict(rules) == {"Copy": "none", "North": "all"}


def test_entries_of_the_version_before_are_found_with_their_member(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0003"))
    columns = "(address, name, role, read, read_version, registered, endpoints, linked)"
    rows = [f"members {columns} VALUES (x'fd01', 'North', 'hospital', 'all', 0, 0, '', 0)"]
    rows += [
        f"audit (time, actor, what, detail, outcome) VALUES (0, 'anna', '{what}', '{detail}', '')"
        for what, detail in [
            ("member registered", "North"),
            ("read rule changed", "North: none"),
            ("member revoked", "North General"),
            ("sign-in", "North"),
        ]
    ]
    for row in rows:
        database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    db.migrate(tmp_path / "broker.db")
    about = database.transact(
        lambda c: c.exec_driver_sql("SELECT about FROM audit ORDER BY id").all()
    )
    assert about == [(b"\xfd\x01",), (b"\xfd\x01",), (None,), (None,)]
    with pytest.raises(CorruptStoreError, match="append-only"):
        database.transact(lambda c: c.exec_driver_sql("UPDATE audit SET detail = ''"))


def test_who_read_is_taken_out_of_the_details_of_the_version_before(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0012"))
    told = {
        "C-MOVE to WS1 by VIEWER: 3 of 4 instances": "VIEWER",
        "looked at by dr.no: 1 of 1 instances (its clock said 2024-01-01T00:00:00Z, 5)": "dr.no",
        "move by a by b": "b",
        "by command, stat: 1 of 1 instances": None,
        "something else": None,
    }
    columns = "(time, address, actor, what, detail, outcome)"
    for detail in told:
        values = f"(1, x'fd', 'North', 'study read', '{detail}', 'done')"
        row = f"audit {columns} VALUES {values}"
        database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    row = f"audit {columns} VALUES (1, NULL, 'anna', 'sign-in', '', 'done')"
    database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    db.migrate(tmp_path / "broker.db")
    query = "SELECT person FROM audit ORDER BY id"
    persons = database.transact(lambda c: c.exec_driver_sql(query).scalars().all())
    assert persons == [*told.values(), "anna"]


def test_what_a_revoked_member_still_sent_is_adopted(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.downgrade(db.migrations(c), "0015"))
    columns = "(address, name, role, read, read_version, registered, endpoints, revoked)"
    rows = [
        f"members {columns} VALUES (x'fd01', 'North', 'hospital', 'all', 0, 0, '', 5)",
        f"members {columns} VALUES (x'fd02', 'South', 'hospital', 'all', 0, 0, '', NULL)",
    ]
    rows += [
        "sent (study, uid, member, began, sending, version, complete, stored) "
        f"VALUES (x'0{number}', '1.2.{number}', x'{member}', 0, {sending}, 1, 0, 0)"
        for number, (member, sending) in enumerate((("fd01", 1), ("fd01", 0), ("fd02", 1)))
    ]
    for row in rows:
        database.transact(lambda c, row=row: c.exec_driver_sql(f"INSERT INTO {row}"))
    db.migrate(tmp_path / "broker.db")
    adopted = database.transact(
        lambda c: c.exec_driver_sql("SELECT adopted FROM sent ORDER BY uid").scalars().all()
    )
    assert [bool(one) for one in adopted] == [True, False, False]
