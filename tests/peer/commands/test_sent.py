"""`p2pacs sent` as people type it, against a local interface in a thread."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pacs.errors import NotFoundError, StateError, UsageError
from tests.conformance.instances import make
from tests.peer.commands.test_cli import run, running
from tests.peer.fake_peer import FakePeer
from tests.peer.fake_sending import FakeSending, arrived, sending, stored

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSending]:
    with sending(tmp_path / "spool") as made, running(tmp_path, FakePeer(sent=made.desk)):
        yield made


def test_all_that_is_sent(made: FakeSending, tmp_path: Path, capsys: Printed) -> None:
    assert run("sent", tmp_path) == 0
    assert "Nothing was sent from here" in capsys.readouterr().err
    arrived(made.spool, [make("1.2.1", 1, number) for number in (1, 2)])
    stored(made.spool, "1.2.1")
    arrived(made.spool, [make("1.2.2")], "MR1")
    made.spool.index.refuse("1.2.2", "ask the administrator")
    assert run("sent", tmp_path) == 0
    titles, refused, home = capsys.readouterr().out.splitlines()
    assert titles.split("\t")[0] == "No."
    assert refused.endswith("refused: ask the administrator")
    assert home.endswith("in the PACS")
    assert run("sent", tmp_path, "--json") == 0
    studies = json.loads(capsys.readouterr().out)["studies"]
    assert [one["state"] for one in studies] == ["refused", "stored"]
    assert run("sent", tmp_path, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["study_instance_uid"] for row in rows] == ["1.2.2", "1.2.1"]
    assert [row["why"] for row in rows] == ["ask the administrator", ""]


def test_what_is_done_about_one(made: FakeSending, tmp_path: Path, capsys: Printed) -> None:
    number = arrived(made.spool, [make("1.2.1")])
    assert run("sent", tmp_path, "--cancel", number) == 0
    assert "Nothing more of study 1 is sent" in capsys.readouterr().out
    assert run("sent", tmp_path, "--cancel", number) == StateError.exit_code
    assert run("sent", tmp_path, "--retry", number, "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "publishing"
    assert run("sent", tmp_path, "--cancel", number) == 0
    assert run("sent", tmp_path, "--remove", number, "--yes") == 0
    assert "is removed" in capsys.readouterr().out
    assert run("sent", tmp_path, "--retry", number) == NotFoundError.exit_code


def test_nothing_is_removed_unless_somebody_says_so(
    made: FakeSending, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = arrived(made.spool, [make("1.2.1")])
    made.spool.index.cancel("1.2.1", "rita")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("sent", tmp_path, "--remove", number) != 0
    assert made.spool.index.list_studies()


def test_one_thing_at_a_time(tmp_path: Path, capsys: Printed) -> None:
    assert run("sent", tmp_path, "--cancel", 1, "--retry", 1) == UsageError.exit_code
    assert "give one of" in capsys.readouterr().err


def test_a_study_goes_to_further_hospitals(
    made: FakeSending, tmp_path: Path, capsys: Printed
) -> None:
    number = arrived(made.spool, [make("1.2.1")])
    stored(made.spool, "1.2.1")
    assert run("sent", tmp_path, "--address", number, "--to", "South") == 0
    assert "goes to them, too" in capsys.readouterr().out
    assert run("sent", tmp_path, "--address", number, "--to", "south,", "--stat", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in said["recipients"]] == ["South"]
    assert said["stat"]
    assert made.notes[0] == ("command line", "study addressed", "1: South")
    assert run("sent", tmp_path, "--address", number, "--to", "Nowhere") == NotFoundError.exit_code
    assert "there are: South" in capsys.readouterr().err


@pytest.mark.parametrize("given", [("--address", 1), ("--to", "South"), ("--stat",)])
def test_what_says_to_whom_belongs_together(
    tmp_path: Path, capsys: Printed, given: tuple[object, ...]
) -> None:
    assert run("sent", tmp_path, *given) == UsageError.exit_code
    assert "belong together" in capsys.readouterr().err
