import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from argon2 import PasswordHasher
from sqlalchemy import Connection, select
from trio.testing import MockClock

from p2pacs.accounts.pace import PaceTuning
from p2pacs.accounts.people import add_account, set_password
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.sign_in import NOBODY, SignIn, SignInOutcome, SignInTuning
from p2pacs.accounts.tables import known_places, sessions
from p2pacs.errors import AuthenticationError, TooManyAttemptsError
from tests.p2pacs.accounts.conftest import CHEAP, CheapPasswords, MemoryDatabase

PASSWORD = "a password of some length"
STRANGER, HOME = "203.0.113.9", "10.0.0.1"
TUNING = SignInTuning(
    source=PaceTuning(free=5, first=1.0, longest=10.0),
    account=PaceTuning(free=8, first=0.5, longest=2.0),
    waiting=6,
    waiting_per_source=3,
)


class Door:
    """A sign-in that remembers what the audit trail was told."""

    def __init__(self, database: MemoryDatabase, passwords: CheapPasswords = CHEAP) -> None:
        self.told: list[SignInOutcome] = []
        with database.engine.begin() as connection:
            add_account(connection, "anna", PASSWORD, "administrator", CHEAP)
        self.database = database
        self.sessions = Sessions(idle=1000, longest=1000, clock=lambda: 0)
        self._accounts = SignIn(
            database,
            self.sessions,
            self._record,
            passwords=passwords,
            tuning=TUNING,
            clock=lambda: 0,
        )

    async def sign_in(self, name: str, password: str, address: str, cookie: str = "") -> str:
        """Sign in: the browser's cookie."""
        signed_in = await self._accounts.sign_in(name, password, address, cookie)
        session = await self.database.run(lambda c: self.sessions.find(c, signed_in.session))
        assert session is not None
        assert session.account == name
        return signed_in.browser

    def _record(self, _connection: Connection, outcome: SignInOutcome) -> None:
        self.told.append(outcome)

    async def fail(self, name: str = "anna", address: str = STRANGER, cookie: str = "") -> None:
        with pytest.raises(AuthenticationError, match=r"^The name or the password is wrong\."):
            await self.sign_in(name, "wrong", address, cookie)


@pytest.fixture
def door(database: MemoryDatabase) -> Door:
    return Door(database)


async def test_the_right_password_and_wrong_ones(door: Door, autojump_clock: MockClock) -> None:
    await door.sign_in("anna", PASSWORD, HOME)
    for name, password in (("anna", "x"), ("root", PASSWORD), ("anna", PASSWORD * 100)):
        with pytest.raises(AuthenticationError, match=r"^The name or the password is wrong\.$"):
            await door.sign_in(name, password, HOME)


async def test_after_many_failures_the_right_password_waits_and_gets_in(
    door: Door, autojump_clock: MockClock
) -> None:
    for _ in range(20):
        await door.fail(address=HOME)
    began = trio.current_time()
    await door.sign_in("anna", PASSWORD, HOME)
    assert 0 < trio.current_time() - began <= 10
    began = trio.current_time()
    await door.fail(address=HOME)
    assert trio.current_time() == began


async def _flood(door: Door, addresses: list[str], work: Callable[[], Awaitable[None]]) -> None:
    """Work while strangers try as fast as they are answered."""

    async def guess(address: str) -> None:
        while True:
            with pytest.raises((AuthenticationError, TooManyAttemptsError)):
                await door.sign_in("anna", "wrong", address)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for address in addresses:  # more of each than may wait
            for _ in range(4):
                nursery.start_soon(guess, address)
        await trio.sleep(60)
        await work()
        nursery.cancel_scope.cancel()


async def test_a_stranger_cannot_keep_out_who_signs_in_elsewhere(
    door: Door, autojump_clock: MockClock
) -> None:
    async def work() -> None:
        began = trio.current_time()
        await door.sign_in("anna", PASSWORD, HOME)
        assert trio.current_time() - began <= 2 * TUNING.waiting

    await _flood(door, [STRANGER], work)


async def test_a_known_browser_is_not_delayed_by_who_shares_its_address(
    door: Door, autojump_clock: MockClock
) -> None:
    cookie = await door.sign_in("anna", PASSWORD, HOME)

    async def work() -> None:
        began = trio.current_time()
        assert await door.sign_in("anna", PASSWORD, HOME, cookie) == cookie
        assert trio.current_time() == began
        with pytest.raises(TooManyAttemptsError, match="half a minute"):
            await door.sign_in("anna", PASSWORD, HOME)

    await _flood(door, [HOME], work)


async def test_a_known_address_is_not_delayed_by_many_strangers(
    door: Door, autojump_clock: MockClock
) -> None:
    await door.sign_in("anna", PASSWORD, HOME)

    async def work() -> None:
        began = trio.current_time()
        await door.sign_in("anna", PASSWORD, HOME)
        assert trio.current_time() == began

    await _flood(door, [f"203.0.113.{number}" for number in range(8)], work)


async def test_somebody_elses_cookie_is_no_key(door: Door, autojump_clock: MockClock) -> None:
    cookie = await door.sign_in("anna", PASSWORD, HOME)
    began = trio.current_time()
    for _ in range(7):
        await door.fail("root", STRANGER, cookie)
    assert trio.current_time() > began


async def test_guessing_from_a_known_browser_is_slowed_too(
    door: Door, autojump_clock: MockClock
) -> None:
    cookie = await door.sign_in("anna", PASSWORD, HOME)
    began = trio.current_time()
    for _ in range(7):
        await door.fail("anna", HOME, cookie)
    assert trio.current_time() > began


async def test_few_wait_and_the_others_are_told_at_once(
    door: Door, autojump_clock: MockClock
) -> None:
    refused = 0

    async def guess() -> None:
        nonlocal refused
        try:
            await door.sign_in("anna", "wrong", STRANGER)
        except TooManyAttemptsError:
            refused += 1
        except AuthenticationError:
            pass

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(guess)
    assert refused >= 90
    await door.fail()  # all places are free again


async def test_abandoned_attempts_take_no_turn_from_others(
    door: Door, autojump_clock: MockClock
) -> None:
    for number in range(600):
        with trio.move_on_after(0.02), contextlib.suppress(AuthenticationError):
            await door.sign_in("anna", "wrong", f"203.0.113.{number % 8}")
    began = trio.current_time()
    await door.sign_in("anna", PASSWORD, HOME)
    assert trio.current_time() - began <= TUNING.account.longest


async def test_of_each_address_one_attempt_at_most_is_ahead_of_the_right_one(
    door: Door, autojump_clock: MockClock
) -> None:
    async def guess(address: str) -> None:
        with pytest.raises(AuthenticationError):
            await door.sign_in("anna", "wrong", address)

    for number in range(8):  # the account's free ones
        await door.fail(address=f"203.0.113.{number}")
    async with trio.open_nursery() as nursery:
        for address in ("198.51.100.1", "198.51.100.2"):
            for _ in range(2):
                nursery.start_soon(guess, address)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await door.sign_in("anna", PASSWORD, HOME)
        assert trio.current_time() - began <= 3 * TUNING.account.longest


@pytest.mark.parametrize("moment", ["waiting", "checking"])
async def test_the_old_password_is_wrong_once_it_was_changed(
    database: MemoryDatabase, autojump_clock: MockClock, moment: str
) -> None:
    def change(connection: Connection) -> None:
        set_password(connection, "anna", "another password", CHEAP)

    class Slow(CheapPasswords):
        async def check(self, stored: str | None, password: str) -> bool:
            await trio.sleep(0.1)
            return self.matches(stored, password)

    async def old() -> None:
        with pytest.raises(AuthenticationError):
            await door.sign_in("anna", PASSWORD, HOME)

    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    door = Door(database, passwords=Slow(hasher))
    if moment == "waiting":
        for _ in range(6):
            await door.fail(address=HOME)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(old)
        await trio.sleep(0.05)
        await database.run(change)
    assert door.told[-1].failures > 0
    with database.engine.begin() as connection:
        assert connection.execute(select(sessions)).all() == []
        assert connection.execute(select(known_places)).all() == []


async def test_the_trail_stays_short_and_has_no_password_in_it(
    door: Door, autojump_clock: MockClock
) -> None:
    for _ in range(150):
        await door.fail("a password typed as name " * 1000)
    await door.fail()
    assert door.told == [SignInOutcome(NOBODY, STRANGER, count) for count in (1, 10, 100)]
    await door.sign_in("anna", PASSWORD, HOME)
    assert door.told[-1] == SignInOutcome("anna", HOME, 0)
    await door.fail(address=HOME)
    assert door.told[-1] == SignInOutcome("anna", HOME, 1)


@pytest.mark.parametrize("name", ["anna", "nobody"])
async def test_that_the_next_waits_is_said_once_it_is_so(
    door: Door, autojump_clock: MockClock, name: str
) -> None:
    said = []
    for _ in range(12):
        with pytest.raises(AuthenticationError) as wrong:
            await door.sign_in(name, "wrong", STRANGER)
        said.append(str(wrong.value))
    assert said[:4] == ["The name or the password is wrong."] * 4
    waits = [one.partition("the next waits, now ")[2].partition(":")[0] for one in said[4:]]
    assert waits == ["1 s", "2 s", "4 s", "8 s", "10 s", "10 s", "10 s", "10 s"]
    assert "nobody is locked out" in said[-1]
