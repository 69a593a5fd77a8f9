import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from broker import lockout
from broker.database.db import now
from p2pacs.errors import TooManyAttemptsError

POLICY = lockout.LockoutPolicy(free=5, first=30, longest=3600)


@given(st.integers(0, 10**6))
def test_delays_grow_to_the_longest(count: int) -> None:
    delay = POLICY.delay_after(count)
    assert 0 <= delay <= POLICY.delay_after(count + 1) <= 3600
    assert (delay == 0) == (count < 5)


def _fail(connection: Connection, who: str, times: int) -> None:
    for _ in range(times):
        lockout.begin(connection, who, POLICY)


def test_locked_out_after_five_failures_for_growing_times(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = now()
    monkeypatch.setattr(lockout, "now", lambda: clock)
    _fail(connection, "a", 5)
    with pytest.raises(TooManyAttemptsError, match="in 30 seconds"):
        _fail(connection, "a", 1)
    _fail(connection, "b", 1)
    clock += 30_000
    _fail(connection, "a", 1)
    with pytest.raises(TooManyAttemptsError, match="in 60 seconds"):
        _fail(connection, "a", 1)
    clock += 60_000
    _fail(connection, "a", 1)
    with pytest.raises(TooManyAttemptsError, match="in 2 minutes"):
        _fail(connection, "a", 1)


def test_success_forgets(connection: Connection) -> None:
    _fail(connection, "a", 4)
    lockout.succeeded(connection, "a")
    _fail(connection, "a", 5)


def test_failures_are_forgotten_after_a_day(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(connection, "a", 4)
    later = now() + 25 * 3600 * 1000
    monkeypatch.setattr(lockout, "now", lambda: later)
    _fail(connection, "a", 5)


def test_subjects_hold_no_names() -> None:
    one = lockout.subject("sign-in", "admin", "10.0.0.1")
    assert "admin" not in one
    assert one != lockout.subject("sign-in", "admin1", "0.0.0.1")
