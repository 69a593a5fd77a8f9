import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from argon2 import PasswordHasher
from sqlalchemy import Connection, select
from trio.testing import MockClock

from p2pacs.accounts.halfway import LIFETIME, TRIES
from p2pacs.accounts.one_time import STEP, code_at
from p2pacs.accounts.pace import OF_CODE, PaceTuning
from p2pacs.accounts.people import add_account, set_password
from p2pacs.accounts.second_factor import enable
from p2pacs.accounts.sessions import Sessions
from p2pacs.accounts.sign_in import NOBODY, CodeWanted, SignedIn, SignIn, SignInOutcome
from p2pacs.accounts.tables import known_places, sessions
from p2pacs.accounts.turns import SignInTuning
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
            clock=lambda: self.at,
        )
        self.at = 0
        """Milliseconds since 1970."""

    async def half(self, address: str = HOME, cookie: str = "") -> str:
        """The right password of an account with a second factor."""
        wanted = await self._accounts.sign_in("anna", PASSWORD, address, cookie)
        assert isinstance(wanted, CodeWanted)
        return wanted.token

    async def finish(self, token: str, code: str) -> SignedIn | None:
        return await self._accounts.finish(token, code)

    async def take_code(self, code: str) -> None:
        await self._accounts.take_code("anna", code)

    async def add_second_factor(self) -> list[str]:
        return await self.database.run(lambda c: enable(c, "anna", SECRET, 0))

    def code(self) -> str:
        """As the app shows it now."""
        return code_at(SECRET, self.at // 1000 // STEP)

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
    """Work while strangers try as fast as they are answered: of each address one more than may
    wait, so that one is told so while the others wait to hear that they are wrong."""
    told: Counter[type[Exception]] = Counter()

    async def guess(address: str) -> None:
        while True:
            try:
                await door.sign_in("anna", "wrong", address)
            except (AuthenticationError, TooManyAttemptsError) as error:
                told[type(error)] += 1
            else:
                pytest.fail("a wrong password was taken")
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for address in addresses:
            for _ in range(4):
                nursery.start_soon(guess, address)
        await trio.sleep(60)
        await work()
        nursery.cancel_scope.cancel()
    assert told.keys() == {AuthenticationError, TooManyAttemptsError}


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


# ---------------------------------------------------------------- the second factor

SECRET = b"12345678901234567890"
DAY = 24 * 3600.0


@pytest.fixture
async def second(door: Door) -> Door:
    """An account with a second factor."""
    await door.add_second_factor()
    door.at = 1_000_000_000
    return door


async def test_the_right_password_alone_does_not_do(second: Door) -> None:
    token = await second.half()
    assert second.told == []
    signed_in = await second.finish(token, second.code())
    assert signed_in is not None
    assert [(one.account, one.failures) for one in second.told] == [("anna", 0)]
    assert await second.finish(token, second.code()) is None


async def test_a_code_that_was_used_signs_nobody_else_in(
    second: Door, autojump_clock: MockClock
) -> None:
    """Who looks over a shoulder knows the password and sees the code."""
    code = second.code()
    mine, theirs = await second.half(), await second.half(STRANGER)
    assert await second.finish(mine, code) is not None
    with pytest.raises(AuthenticationError, match="code is wrong"):
        await second.finish(theirs, code)


async def test_two_at_once_use_a_code_once(second: Door, autojump_clock: MockClock) -> None:
    tokens = [await second.half() for _ in range(4)]
    done: list[SignedIn | None] = []

    async def finish(token: str) -> None:
        with suppress(AuthenticationError):
            done.append(await second.finish(token, second.code()))

    async with trio.open_nursery() as nursery:
        for token in tokens:
            nursery.start_soon(finish, token)
    assert len(done) == 1


async def test_a_recovery_code_does_once(door: Door, autojump_clock: MockClock) -> None:
    codes = await door.add_second_factor()
    assert await door.finish(await door.half(), codes[3]) is not None
    with pytest.raises(AuthenticationError):
        await door.finish(await door.half(), codes[3])


async def test_after_too_long_or_too_many_the_password_is_asked_for_again(
    second: Door, autojump_clock: MockClock
) -> None:
    late = await second.half()
    second.at += LIFETIME
    assert await second.finish(late, second.code()) is None
    token = await second.half()
    for _ in range(TRIES - 1):
        with pytest.raises(AuthenticationError):
            await second.finish(token, "000000")
    assert await second.finish(token, "000000") is None
    assert await second.finish(token, second.code()) is None
    assert [(one.account, one.detail) for one in second.told] == [
        ("anna", f"from {HOME}: right password, wrong code")
    ]


async def test_a_password_that_was_changed_meanwhile_finishes_nothing(
    second: Door, autojump_clock: MockClock
) -> None:
    token = await second.half()
    await second.database.run(lambda c: set_password(c, "anna", "another password", CHEAP))
    with pytest.raises(AuthenticationError):
        await second.finish(token, second.code())


async def test_who_knows_the_password_guesses_few_codes_a_day(
    second: Door, autojump_clock: MockClock
) -> None:
    """Of three codes in a million each; from as many addresses as one likes."""
    guesses = 0

    async def guess(address: str) -> None:
        nonlocal guesses
        while True:
            await trio.sleep(0.1)
            try:
                await second.finish(await second.half(address), "000000")
            except AuthenticationError:
                guesses += 1
            except TooManyAttemptsError:
                await trio.sleep(5)

    with trio.move_on_after(DAY / 24):
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(guess, f"198.51.100.{number}")
    assert OF_CODE.free <= guesses <= OF_CODE.free + 9 + 3600 / OF_CODE.longest


async def test_the_owners_browser_does_not_wait_for_who_guesses_codes(
    second: Door, autojump_clock: MockClock
) -> None:
    signed_in = await second.finish(await second.half(), second.code())
    assert signed_in is not None
    stranger = await second.half(STRANGER)
    for _ in range(3):
        for _ in range(TRIES):
            with suppress(AuthenticationError, TooManyAttemptsError):
                await second.finish(stranger, "000000")
        stranger = await second.half(STRANGER)
    with pytest.raises(TooManyAttemptsError, match=r"can be tried in \d+ s"):
        await second.finish(stranger, second.code())
    second.at += STEP * 1000
    began = trio.current_time()
    mine = await second.half(cookie=signed_in.browser)
    assert await second.finish(mine, second.code()) is not None
    assert trio.current_time() == began


async def test_codes_of_who_is_signed_in_have_the_same_pace(
    second: Door, autojump_clock: MockClock
) -> None:
    for _ in range(12):
        with suppress(AuthenticationError, TooManyAttemptsError):
            await second.take_code("000000")
    with pytest.raises(TooManyAttemptsError):
        await second.take_code(second.code())
    await trio.sleep(OF_CODE.longest)
    await second.take_code(second.code())
    await second.take_code(code_at(SECRET, second.at // 1000 // STEP + 1))
