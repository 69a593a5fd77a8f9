"""``p2pacs broker may``."""

import io
from pathlib import Path

import pytest

from broker.config import DATABASE
from broker.database.db import connect
from broker.database.recipients import list_due
from broker.members import registry
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import (
    NotFoundError,
    RevokedError,
    StateError,
    StudyNotFoundError,
    UsageError,
)
from p2pacs.swarm.scheduling.priority import Priority
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


def test_an_administrator_addresses_a_study_and_ends_that(command: Command, network: Path) -> None:
    database = connect(network / DATABASE)
    said = command("address", network, "North", CT.uid, code=StateError.exit_code)
    assert "North has not joined yet" in said
    member = database.transact(lambda c: registry.find_member(c, "North"))
    database.transact(
        lambda c: registry.join(
            c,
            member.address,
            key_hash=bytes(32),
            box_key=bytes(32),
            endpoints=[],
            certificate_expires=2**40,
        )
    )
    assert "North may read this study" in command("address", network, "North", CT.uid, "--stat")
    assert command("may", network, "North", CT.uid) == (
        "North may read this study.\n- it was addressed to it by command line\n"
    )
    (due,) = database.transact(lambda c: list_due(c, member=member.address))
    assert (due.study, due.version, due.priority) == (CT.study, 1, Priority.STAT)
    said = command("address", network, "North", CT.uid, "--stat", "--end", code=2)
    assert "contradict" in said
    assert command.json("address", network, "North", CT.uid, "--end")["priority"] is None
    assert command.json("may", network, "North", CT.uid)["allowed"] is False
    assert database.transact(list_due) == []
    said = command("address", network, "North", CT.uid, "--end", code=UsageError.exit_code)
    assert "not addressed to North" in said
    entries = command.json("audit", network)["entries"]
    assert [entry["what"] for entry in entries][:2] == [
        "address of a study ended",
        "study addressed",
    ]
    command("token", network, "--name", "R1", "--role", "replica")
    said = command("address", network, "R1", CT.uid, code=UsageError.exit_code)
    assert "R1 reads nothing" in said
    command("revoke", network, "North", "--yes")
    command("address", network, "North", CT.uid, code=RevokedError.exit_code)
