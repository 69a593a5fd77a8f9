"""What is printed of a study that was sent: all goals must be met."""

from pathlib import Path

import pytest
from attrs import evolve

from scripts import phantom
from scripts.lab.download import Delivery
from scripts.lab.sent_figures import SendOutcome, SendTimes
from scripts.loaded import LoadedStudy, load_folder
from scripts.program import ScriptError

UPLINK = 800_000
TIMES = SendTimes(100.0, 100.2, 101.0, 101.5, 102.0, 109.0, 110.5)
OURS = SendOutcome(TIMES, 1_000_000, 1_070_000, {"hospital-b": 600_000, "broker": 410_000}, True)
THEIRS = Delivery(200.0, 248.0, 5_000_000)


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    phantom.write(tmp_path / "study", phantom.slices(2))
    return load_folder(tmp_path / "study")


def test_all_goals_are_met(study: LoadedStudy) -> None:
    printed = OURS.figures(study, UPLINK, THEIRS)
    assert printed["passed"]
    assert (printed["both_seconds"], printed["seconds_over_line"]) == (10.5, 1.05)
    assert (printed["wire_over_coded"], printed["chunks_over_coded"]) == (1.07, 1.01)
    assert printed["again_bytes"] == 10_000
    assert (printed["preview_seconds"], printed["ratio"]) == (1.8, 4.57)
    assert (printed["at_pacs_seconds"], printed["first_instance_seconds"]) == (9.0, 0.2)


@pytest.mark.parametrize(
    "worse",
    [
        evolve(OURS, exact=False),
        evolve(OURS, wire_bytes=1_090_000),
        evolve(OURS, sent={"hospital-b": 1_000_000, "broker": 262_145}),
        evolve(OURS, times=evolve(TIMES, at_reader=110.7)),
        evolve(OURS, times=evolve(TIMES, first_preview=102.3)),
    ],
)
def test_each_counts(study: LoadedStudy, worse: SendOutcome) -> None:
    assert not worse.figures(study, UPLINK, None)["passed"]
    assert OURS.figures(study, UPLINK, None)["passed"]


def test_the_opponent_counts_if_it_was_asked_for(study: LoadedStudy) -> None:
    assert not OURS.figures(study, UPLINK, evolve(THEIRS, end=247.0))["passed"]
    assert "ratio" not in OURS.figures(study, UPLINK, None)


def test_what_did_not_come_to_both_has_no_end() -> None:
    with pytest.raises(ScriptError, match="both"):
        assert evolve(TIMES, at_pacs=None).end
