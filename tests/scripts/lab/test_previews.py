"""When there is something to look at: the first image, every image, all of the study."""

import pytest

from scripts.lab.previews import Previews
from scripts.program import ScriptError

LINES = [
    (11.0, {"number": 1, "level": None, "known": 2}),
    (11.5, {"number": 2, "level": 3, "known": 2}),
    (12.0, {"waiting": True}),
    (13.0, {"number": 1, "level": 3, "known": 2}),
    (13.1, {"previews": 2}),
    (50.0, {"number": 1, "level": 0, "known": 2}),
    (90.0, {"complete": True, "instances": 2}),
]


def heard(lines: list[tuple[float, dict[str, object]]]) -> Previews:
    previews = Previews(asked=10.0)
    for now, line in lines:
        previews.hear(line, now)
    return previews


def test_times_count_from_the_request() -> None:
    assert heard(LINES).figures(300) == {
        "first_seconds": 1.5,
        "first_goal": 2.0,
        "all_seconds": 3.1,
        "whole_seconds": 80.0,
        "all_over_whole": 0.0387,
        "all_over_whole_goal": 0.05,
        "passed": True,
    }


def test_a_late_first_image_or_late_previews_do_not_pass() -> None:
    late = [(now + 1, line) for now, line in LINES]
    assert not heard(late).figures(300)["passed"]
    assert not heard([*LINES[:4], (15.0, {"previews": 2}), *LINES[5:]]).figures(300)["passed"]


def test_goals_are_for_large_studies() -> None:
    late = [(now + 9, line) for now, line in LINES]
    small = heard(late).figures(299)
    assert small["passed"]
    assert (small["first_goal"], small["all_over_whole_goal"]) == (None, None)
    assert small["first_seconds"] == 10.5


def test_images_that_are_small_enough_are_their_own_previews() -> None:
    figures = heard([(12.0, {"number": 1, "level": 0, "known": 1}), LINES[-1]]).figures(300)
    assert figures["first_seconds"] == 2.0
    assert figures["all_over_whole"] == 1.0


def test_a_study_that_did_not_come_has_no_figures() -> None:
    with pytest.raises(ScriptError):
        heard(LINES[:-1]).figures(300)
