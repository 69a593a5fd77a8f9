"""A scanner's study out of a hospital: who is where, and a whole small run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bench, phantom
from scripts.lab import sending
from scripts.lab.download import PACS
from scripts.lab.sending import SendSetting


def setting(*arguments: str) -> SendSetting:
    return SendSetting.of(bench.parse(["send", "--dicom", "x", *arguments]))


def test_both_hospitals_have_their_lines_alone() -> None:
    places = {wish.name: wish for wish in setting("--replicas", "2").wishes()}
    assert {name for name, wish in places.items() if wish.lan} == {
        "broker", "replica-1", "replica-2", PACS
    }  # fmt: skip
    assert {name for name, wish in places.items() if not wish.lan} == {
        sending.SENDER,
        sending.READER,
    }
    against = {wish.name for wish in setting("--against", "orthanc").wishes()}
    assert sending.OPPONENT in against


@pytest.mark.parametrize("wrong", [["--pacs", "x"], ["--against", "x"], ["--up", "fast"]])
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        setting(*wrong)


@pytest.mark.lab
@pytest.mark.system
@pytest.mark.orthanc
@pytest.mark.dcmtk
def test_a_small_study_by_both_ways(tmp_path: Path) -> None:
    phantom.write(tmp_path / "study", phantom.slices(2))
    command = [sys.executable, "-m", "scripts.bench", "send", "--dicom", tmp_path / "study"]
    command += ["--against", "orthanc", "--up", "20mbit", "--down", "50mbit", "--slices", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    printed = json.loads(done.stdout)
    assert printed["instances"] == 3
    assert printed["exact"]
    assert printed["storescu_wire_bytes"] > printed["bytes"]
    assert printed["wire_bytes"] > printed["coded_bytes"]
