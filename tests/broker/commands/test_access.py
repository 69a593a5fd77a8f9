"""``p2pacs broker may``."""

import io
from pathlib import Path

import pytest

from broker.config import DATABASE
from broker.database.db import connect
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import NotFoundError, StudyNotFoundError
from tests.broker.access.test_rules import CT
from tests.broker.commands.test_cli import Command, command, first, folder

__all__ = ["command", "first", "folder"]


@pytest.fixture
def network(command: Command, folder: Path) -> Path:
    CatalogueIndex(connect(folder / DATABASE)).upsert([CT])
    command("token", folder, "--name", "North", "--role", "hospital", "--read", "Modality=MR")
    command("token", folder, "--name", "South", "--role", "hospital")
    return folder


def test_yes_and_no_with_their_reasons(command: Command, network: Path) -> None:
    assert command("may", network, "South", CT.uid) == (
        "South may read this study.\n- its rule is all: it may read every study\n"
    )
    assert command("may", network, "North", CT.uid) == (
        "North may not read this study.\n- Modality=MR does not hold: the study has CT, SR\n"
    )
    said = command.json("may", network, "North", CT.uid)
    assert (said["name"], said["allowed"], len(said["why"])) == ("North", False, 1)


def test_the_uid_by_standard_input(
    command: Command, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CT.uid}\n".encode())))
    assert "may read" in command("may", network, "South", "-")


def test_who_or_what_there_is_not(command: Command, network: Path) -> None:
    command("may", network, "East", CT.uid, code=NotFoundError.exit_code)
    said = command("may", network, "North", "1.9.9", code=StudyNotFoundError.exit_code)
    assert "1.9.9" not in said
