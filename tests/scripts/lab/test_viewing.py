"""`scripts/bench viewer`: what it prints; the browser itself is tried in tests/conformance."""

from scripts.lab.viewing import Opened, ViewingTimes

HERE = Opened(1.5, {})
OTHERS = Opened(1.8, {}), Opened(5.1, {})


def opened(first: float) -> Opened:
    return Opened(first, {"/studies": [400, 500], "/studies/U/series": [510, 600]})


def test_both_goals_must_be_met() -> None:
    good = ViewingTimes(opened(2.5), [0.4, 1.9, 0.2], HERE, *OTHERS).figures()
    assert good["passed"]
    assert (good["first_seconds"], good["here_seconds"]) == (2.5, 1.5)
    assert (good["unprepared_seconds"], good["new_browser_seconds"]) == (1.8, 5.1)
    assert (good["slice_seconds"], good["slice_seconds_median"]) == (1.9, 0.4)
    assert good["scripts_seconds"] == 0.4
    assert not ViewingTimes(opened(3.5), [0.4], HERE, *OTHERS).figures()["passed"]
    assert not ViewingTimes(opened(2.5), [0.4, 2.1], HERE, *OTHERS).figures()["passed"]
