"""One hospital against C-GET: what is asked for, what is printed, and a whole small run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from scripts import bench, phantom
from scripts.lab import download
from scripts.lab.download import Delivery, DownloadSetting, SwarmFetch, figures, is_exact
from scripts.lab.line import LabLine
from scripts.lab.ours import BESIDE
from scripts.loaded import LoadedStudy, load_folder


def setting(*arguments: str) -> DownloadSetting:
    return DownloadSetting.of(bench.parse(["download", "--dicom", "x", *arguments]))


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    phantom.write(tmp_path / "study", phantom.slices(2))
    return load_folder(tmp_path / "study")


def test_the_hospital_has_its_line_alone_and_orthanc_has_one_too() -> None:
    made = setting("--against", "orthanc")
    assert made.line == LabLine(800_000, 3_000_000, 0.0105, 32_000, 0.0)
    places = {wish.name: wish for wish in made.wishes()}
    assert {name for name, wish in places.items() if wish.lan} == {
        "broker", "replica-1", "replica-2", "replica-3", "pacs", BESIDE
    }  # fmt: skip
    assert {name for name, wish in places.items() if wish.line is None} == {BESIDE}
    assert download.PACS not in {wish.name for wish in setting().wishes()}


@pytest.mark.parametrize("wrong", [["--against", "x"], ["--slices", "many"], ["--up", "fast"]])
def test_wrong_arguments_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        setting(*wrong)


def test_the_goal_is_the_coding_ratio_times_what_three_lines_are_worth(study: LoadedStudy) -> None:
    ours = SwarmFetch(Delivery(100.0, 110.0, 500), None, study.size // 5, True)
    printed = figures("other", study, ours, Delivery(200.0, 335.1, 9000))
    assert (printed["coding_ratio"], printed["goal"], printed["ratio"]) == (5.0, 13.5, 13.51)
    assert (printed["p2pacs_wire_bytes"], printed["orthanc_wire_bytes"]) == (500, 9000)
    assert printed["passed"]
    assert not figures("ct-philips-brain-1mm", study, ours, Delivery(0, 139.9, 0))["passed"]
    assert not figures("other", study, evolve(ours, exact=False), Delivery(0, 999, 0))["passed"]
    alone = figures("other", study, ours, None)
    assert alone["passed"]
    assert "ratio" not in alone


def test_exact_is_every_data_set(study: LoadedStudy) -> None:
    folder = study.paths[0].parent
    assert is_exact(folder, study)
    file = study.paths[1].read_bytes()
    study.paths[1].write_bytes(file[:-1] + b"\x07")
    assert not is_exact(folder, study)
    study.paths[1].unlink()
    assert not is_exact(folder, study)


@pytest.mark.lab
@pytest.mark.system
@pytest.mark.orthanc
@pytest.mark.dcmtk
def test_a_small_study_by_both_ways(tmp_path: Path) -> None:
    phantom.write(tmp_path / "study", phantom.slices(2))
    command = [sys.executable, "-m", "scripts.bench", "download", "--dicom", tmp_path / "study"]
    command += ["--against", "orthanc", "--up", "20mbit", "--down", "50mbit", "--slices", "3"]
    command += ["--replicas", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    printed = json.loads(done.stdout)
    assert printed["instances"] == 3
    assert printed["exact"]
    assert printed["orthanc_wire_bytes"] > printed["bytes"]
    assert printed["p2pacs_wire_bytes"] > printed["coded_bytes"]
