"""`scripts/bench viewer`: what it prints; the browser itself is tried in tests/conformance."""

from scripts.lab.viewing import ViewingTimes


def test_both_goals_must_be_met() -> None:
    marks = {"/studies": [400, 500], "/studies/U/series": [510, 600]}
    good = ViewingTimes(2.5, [0.4, 1.9, 0.2], marks).figures()
    assert good["passed"]
    assert (good["first_seconds"], good["slice_seconds"], good["slice_seconds_median"]) == (
        2.5,
        1.9,
        0.4,
    )
    assert good["scripts_seconds"] == 0.4
    assert not ViewingTimes(3.5, [0.4]).figures()["passed"]
    assert not ViewingTimes(2.5, [0.4, 2.1]).figures()["passed"]
