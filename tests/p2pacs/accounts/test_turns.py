"""Turns of codes; those of passwords are tried where they matter, in test_sign_in."""

import pytest
import trio
from trio.testing import MockClock

from p2pacs.accounts.pace import PaceTuning
from p2pacs.accounts.turns import Asker, SignInTuning, Turns
from p2pacs.errors import TooManyAttemptsError

TUNING = SignInTuning(
    code=PaceTuning(free=2, first=4.0, longest=64.0), waiting=3, waiting_per_source=2
)


async def test_a_code_waits_a_little_and_is_sent_away_for_long(autojump_clock: MockClock) -> None:
    turns, began = Turns(TUNING), trio.current_time()
    waits = []
    for _ in range(4):
        await turns.code(b"anna")
        waits.append(trio.current_time() - began)
    assert waits == pytest.approx([0, 0, 4, 12])
    with pytest.raises(TooManyAttemptsError, match="16 s"):
        await turns.code(b"anna")
    await turns.code(b"bert")
    turns.right_code(b"anna")
    await turns.code(b"anna")
    assert trio.current_time() - began == pytest.approx(12)


async def test_so_many_passwords_wait(autojump_clock: MockClock) -> None:
    turns, passed = Turns(TUNING), []

    async def check(who: bytes) -> None:
        async with turns.password(Asker.STRANGER, who, b"anna"):
            await trio.sleep(1)
            passed.append(who)

    async with trio.open_nursery() as nursery:
        for who in (b"a", b"a", b"b"):
            nursery.start_soon(check, who)
        await trio.testing.wait_all_tasks_blocked()
        for who in (b"a", b"c"):
            with pytest.raises(TooManyAttemptsError):
                await check(who)
        async with turns.password(Asker.BROWSER, b"cookie", b"anna"):
            passed.append(b"cookie")
    assert passed[0] == b"cookie"
    assert sorted(passed[1:]) == [b"a", b"a", b"b"]
