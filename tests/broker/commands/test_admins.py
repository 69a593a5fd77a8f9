from contextlib import closing
from pathlib import Path

import pytest

from broker.database.db import connect, open_database
from p2pacs.accounts.second_factor import enable
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.sign_in import SignIn
from p2pacs.errors import AuthenticationError, NotFoundError, StateError, UsageError
from tests.broker.commands.test_cli import PASSWORD, Command, init


async def test_a_password_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = Command(capsys)
    command(*init(tmp_path))
    (tmp_path / "password").write_text("another password\n")
    out = command(
        "password", tmp_path / "broker", "--admin", "admin",
        "--password-file", tmp_path / "password",
    )  # fmt: skip
    assert "admin is signed out" in out
    async with open_database(tmp_path / "broker" / "broker.db") as database:
        accounts = SignIn(database, Sessions(1000, 1000), lambda _connection, _outcome: None)
        await accounts.sign_in("admin", "another password", "10.0.0.1")
        with pytest.raises(AuthenticationError):
            await accounts.sign_in("admin", PASSWORD, "10.0.0.1")


def test_administrators_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = Command(capsys)
    command(*init(tmp_path))
    folder = tmp_path / "broker"
    secret = ["--password-file", tmp_path / "password"]
    assert "new administrator" in command("password", folder, "--admin", "bert", *secret)
    assert "signed out everywhere" in command("password", folder, "--admin", "bert", *secret)
    assert command("admins", folder) == (
        "Name\tRole\tSecond factor\nadmin\tadministrator\tno\nbert\tadministrator\tno\n"
    )
    command("admins", folder, "--remove", "carl", "--yes", code=NotFoundError.exit_code)
    (left,) = command.json("admins", folder, "--remove", "bert", "--yes")["administrators"]
    assert left == {"name": "admin", "role": "administrator", "second_factor": False}
    refused = command("admins", folder, "--remove", "admin", "--yes", code=StateError.exit_code)
    assert "add another one first" in refused
    trail = command("audit", folder, "--most", "3")
    assert [line.split("\t")[2] for line in trail.splitlines()[1:]] == [
        "administrator removed",
        "password set",
        "administrator added",
    ]


def test_an_auditor_is_made_and_becomes_administrator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(capsys)
    command(*init(tmp_path))
    folder = tmp_path / "broker"
    secret = ["--password-file", tmp_path / "password"]
    new = ["password", folder, "--admin", "rev", "--role", "auditor", *secret]
    assert "rev is a new auditor" in command(*new)
    assert "a role already" in command(*new, code=UsageError.exit_code)
    wrong = ["role", folder, "--admin", "rev", "--role", "radiologist"]
    assert "one of: administrator, auditor" in command(*wrong, code=UsageError.exit_code)
    nobody = ["role", folder, "--admin", "nobody", "--role", "auditor"]
    command(*nobody, code=NotFoundError.exit_code)
    last = ["role", folder, "--admin", "admin", "--role", "auditor"]
    assert "add another one first" in command(*last, code=StateError.exit_code)
    command("role", folder, "--admin", "rev", "--role", "administrator")
    command(*last)
    assert command("admins", folder) == (
        "Name\tRole\tSecond factor\nadmin\tauditor\tno\nrev\tadministrator\tno\n"
    )
    trail = command("audit", folder, "--most", "3")
    assert [line.split("\t")[2] for line in trail.splitlines()[1:]] == [
        "role set",
        "role set",
        "administrator added",
    ]


def test_who_has_lost_the_phone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = Command(capsys)
    command(*init(tmp_path))
    reset = ["reset-second-factor", tmp_path / "broker", "--admin", "admin"]
    assert "no second factor" in command(*reset, code=StateError.exit_code)
    with closing(connect(tmp_path / "broker" / "broker.db")) as database:
        database.transact(lambda c: enable(c, "admin", bytes(20), 0))
    assert "password alone" in command(*reset)
    trail = command("audit", tmp_path / "broker", "--most", "1")
    assert "second factor removed" in trail
