"""``p2pacs broker token --from``."""

import csv
import io
from contextlib import closing
from pathlib import Path

import pytest

from broker.config import DATABASE
from broker.database.db import connect
from p2pacs.errors import LocalError, UsageError
from p2pacs.identity.token import Token
from p2pacs.limits import MEMBERS
from tests.broker.commands.test_cli import Command, command, first, folder
from tests.broker.members.test_registry import fill

__all__ = ["command", "first", "folder"]

GOOD = "name;role;read\nNorth;hospital;Modality=CT,MR\nR1;replica;\n"


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "members.csv"
    path.write_text(GOOD)
    return path


def test_all_members_of_a_file(command: Command, folder: Path, sheet: Path) -> None:
    rows = list(csv.reader(io.StringIO(command("token", folder, "--from", sheet))))
    assert [row[:2] for row in rows] == [["name", "role"], ["North", "hospital"], ["R1", "replica"]]
    for row in rows[1:]:
        Token.decode(row[3])
    listed = command.json("members", folder)["members"]
    assert [(one["name"], one["read"]) for one in listed] == [
        ("North", "Modality=CT,MR"),
        ("R1", "none"),
    ]
    said = command("token", folder, "--from", sheet, code=UsageError.exit_code)
    assert "line 2, name: is taken already; line 3, name: is taken already" in said
    assert len(command.json("members", folder)["members"]) == 2


def test_as_json(command: Command, folder: Path, sheet: Path) -> None:
    made = command.json("token", folder, "--from", sheet)["members"]
    assert [one["name"] for one in made] == ["North", "R1"]
    assert all(Token.decode(one["token"]) for one in made)


def test_by_standard_input(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert "North" in command("token", folder, "--from", "-")


def test_what_cannot_be(command: Command, folder: Path, sheet: Path, tmp_path: Path) -> None:
    for more in (["--name", "X"], ["--renew"], ["--role", "hospital"]):
        said = command("token", folder, "--from", sheet, *more, code=UsageError.exit_code)
        assert "takes no other option" in said
    assert "--name is needed" in command("token", folder, code=UsageError.exit_code)
    command("token", folder, "--from", tmp_path / "none.csv", code=LocalError.exit_code)
    assert command.json("members", folder)["members"] == []


def test_when_the_network_is_full_nobody_is_registered(
    command: Command, folder: Path, sheet: Path
) -> None:
    with closing(connect(folder / DATABASE)) as database:
        database.transact(lambda c: fill(c, room=1))
    before = command.json("members", folder)["members"]
    said = command("token", folder, "--from", sheet, code=UsageError.exit_code)
    assert f"at most {MEMBERS} members" in said
    assert command.json("members", folder)["members"] == before


def test_the_name_that_the_option_had_is_told(command: Command, folder: Path) -> None:
    said = command("token", folder, "--csv", "members.csv", code=UsageError.exit_code)
    assert "--from members.csv" in said
