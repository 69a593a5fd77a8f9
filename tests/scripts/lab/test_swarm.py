"""The benchmark's command line and what the lab is asked for."""

import argparse

import pytest

from scripts import bench
from scripts.lab import swarm
from scripts.lab.line import LabLine
from scripts.lab.ours import BESIDE


def setting(*arguments: str) -> swarm.SwarmSetting:
    return swarm.SwarmSetting.of(bench.parse(["swarm", *arguments]))


def test_lines_are_adsl_unless_said_otherwise() -> None:
    made = setting("--clients", "2")
    assert made.line == LabLine(800_000, 3_000_000, 0.0105, 32_000, 0.0)
    assert made.members == [
        "broker", "replica-1", "replica-2", "replica-3", "hospital-1", "hospital-2"
    ]  # fmt: skip
    given = ["--up", "1mbit", "--down", "8mbit", "--delay", "0.05s", "--queue", "64kB"]
    made = setting(*given, "--loss", "0.01", "--replicas", "1", "--clients", "1")
    assert made.line == LabLine(1_000_000, 8_000_000, 0.025, 64_000, 0.01)
    assert made.members == ["broker", "replica-1", "hospital-1"]


def test_hospitals_have_their_line_alone() -> None:
    places = {wish.name: wish for wish in setting("--clients", "1").wishes()}
    near = {name for name, wish in places.items() if wish.lan}
    assert near == {"broker", "replica-1", "replica-2", "replica-3", BESIDE}
    assert {name for name, wish in places.items() if wish.line is None} == {BESIDE}


def test_hospitals_are_behind_kinds_of_nat_in_turn_and_nobody_else_is() -> None:
    wishes = setting("--clients", "3", "--nat", "cone,symmetric+hairpin").wishes()
    kinds = {wish.name: wish.nat for wish in wishes if wish.nat}
    assert kinds == {
        "hospital-1": "cone",
        "hospital-2": "symmetric+hairpin",
        "hospital-3": "cone",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        ["--up", "fast"],
        ["--delay", "21"],
        ["--queue", "much"],
        ["--against", "x"],
        ["--nat", "odd"],
        ["--loss", "y"],
    ],
)
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        bench.parse(["swarm", *wrong])


def test_times() -> None:
    assert swarm.seconds("21ms") == 0.021
    assert swarm.seconds("2s") == 2.0
    with pytest.raises(ValueError, match="21ms"):
        swarm.seconds("21")


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    swarm.arguments(parser)
    parser.print_help()
    assert "--kill-broker" in capsys.readouterr().out
