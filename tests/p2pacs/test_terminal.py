"""On a terminal of 80 columns tables fit, with the longest that may stand in them."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.admins.actions import AdminActions
from broker.config import DATABASE, BrokerSettings
from broker.database.db import connect
from broker.members.registry import Registration
from broker.setup import found
from broker.trail import audit
from p2pacs import limits
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId
from p2pacs.output.tables import width

WIDE = 80
UID = "1." + "2" * 62
LOOKS = ("members", "audit", "admins", "status")
"""Commands of a broker that list or tell something, whether it runs or not."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a broker with members and a trail whose every text is as long as may be."""
    made = tmp_path_factory.mktemp("terminal") / "broker"
    said = {
        "pacs": "dimse://PACS@pacs.hospital.example:11112?retrieve=get",
        "listen": ["[2001:db8:1111:2222:3333:4444:5555:6666]:4710"],
        "web": {"listen": "127.0.0.1:0"},
    }
    settings = BrokerSettings.model_validate(said)
    keys = found(made, settings, network="n", admin="anna", password="a password of some length")
    actions = AdminActions(keys.authority, keys.identity.address, settings)
    database = connect(made / DATABASE)
    for name in ("Hospital " * 20, "院" * limits.NAME):
        one = Registration(name[: limits.NAME].strip(), Role.HOSPITAL, 3_000_000, 800_000, "all")
        member, _ = database.transact(lambda c, one=one: actions.register(c, one, "anna"))
        entry = audit.Entry(
            "study read", member.name, member.address, StudyId(bytes(16)), UID, "by a person " * 20
        )
        database.transact(lambda c, entry=entry: audit.record(c, entry))
    return made


def _on_terminal(*command: str) -> list[str]:
    """What a command writes on a terminal."""
    mine, its = pty.openpty()
    with os.fdopen(mine, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "p2pacs", *command],
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            env={**os.environ, "COLUMNS": str(WIDE)},
        )
        os.close(its)
        text = b"".join(_pieces(terminal.fileno()))
        assert process.wait(30) == 0, text
    return text.decode().splitlines()


def _pieces(handle: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(handle, 65_536)
        except OSError:  # Linux says so when nobody writes any more
            return
        if not piece:
            return
        yield piece


def _too_wide(lines: list[str]) -> list[str]:
    """Lines that do not fit and should: all of a table, but none where each cell has a line."""
    found, in_table = list[str](), False
    for number, line in enumerate(lines):
        rule = number + 1 < len(lines) and lines[number + 1].startswith("──")
        in_table = bool(line) and (in_table or rule)
        if in_table and width(line) > WIDE:
            found.append(line)
    return found


@pytest.mark.parametrize("command", LOOKS)
def test_a_table_fits(folder: Path, command: str) -> None:
    lines = _on_terminal("broker", command, str(folder))
    assert lines
    assert _too_wide(lines) == []


def test_what_is_too_wide_is_found() -> None:
    wide = "x" * 81
    assert _too_wide(["A  B", "──  ──", wide, "", wide]) == [wide]
    assert _too_wide([f"Name  {wide}"]) == []
