import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.process.health import (
    DAY,
    Health,
    HealthCheck,
    check_json,
    clock_check,
    disk_check,
    expiry_check,
    worst,
    worst_first,
)

GB = 10**9


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [
        (0, 100 * GB, Health.BAD),
        (GB - 1, 100 * GB, Health.BAD),
        (4 * GB, 20 * GB, Health.LOOK),
        (30 * GB, 1000 * GB, Health.LOOK),
        (60 * GB, 20_000 * GB, Health.GOOD),
        (6 * GB, 20 * GB, Health.GOOD),
    ],
)
def test_room_on_a_disk(free: int, total: int, state: Health) -> None:
    check = disk_check("Disk of the store", free, total)
    assert check.state is state
    assert bool(check.advice) is (state is not Health.GOOD)
    assert check.key == "disk_of_the_store"


@given(st.integers(0, 10**15), st.integers(1, 10**15), st.integers(0, 10**15))
def test_more_room_is_never_worse(free: int, total: int, more: int) -> None:
    one, other = disk_check("d", free, total), disk_check("d", free + more, total)
    assert worst([one, other]) is one.state


@pytest.mark.parametrize(
    ("left", "state", "said"),
    [
        (0, Health.BAD, "It has ended."),
        (1, Health.LOOK, "It is good for 0 more days."),
        (DAY, Health.LOOK, "It is good for 1 more day."),
        (30 * DAY, Health.GOOD, "It is good for 30 more days."),
    ],
)
def test_what_expires(left: int, state: Health, said: str) -> None:
    check = expiry_check("Certificate", 10**12 + left, 10**12, "Renew it.")
    assert (check.state, check.what) == (state, said)


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (0.2, Health.GOOD, "a few seconds"),
        (-6.0, Health.LOOK, "6 s behind"),
        (60.0, Health.BAD, "60 s ahead"),
    ],
)
def test_clocks(seconds: float, state: Health, said: str) -> None:
    check = clock_check("Clock", seconds)
    assert check.state is state
    assert said in check.what


def test_the_worst_comes_first_and_counts() -> None:
    checks = [HealthCheck(state.value, state, "so") for state in Health]
    assert worst([]) is Health.GOOD
    assert worst(checks) is Health.BAD
    assert [one.name for one in worst_first(checks)] == ["bad", "look", "good"]
    assert check_json(checks[0]) == {
        "key": "good",
        "name": "good",
        "state": "good",
        "what": "so",
        "advice": "",
    }
