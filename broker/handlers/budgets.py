"""What one member may cost the broker: records, questions and processor time, each with a budget.

A member is authenticated and still trusted with nothing. The broker's database does one thing at a
time, so of each member at most one question waits for it: members take turns, however many
questions one of them asks.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
from attrs import define, frozen
from sqlalchemy import Connection

from p2pacs.errors import BusyError
from p2pacs.ids import VirtualAddress
from p2pacs.line.pacing import TokenBucket

T = TypeVar("T")


@frozen
class BudgetTuning:
    """A budget is full at first, and fills at its rate."""

    records: float = 5_000
    """Audit records: what a busy hospital reads in a week without its broker ..."""
    records_rate: float = 0.5
    """... and a second: 43,000 a day, 6 MB of trail, of a member that floods for ever."""
    grants: float = 2_000
    """Questions about single studies, each of which writes to the trail ..."""
    grants_rate: float = 2.0
    """... and a second."""
    seconds: float = 10.0
    """Processor time: the catalogue of 100,000 studies, for a member that comes anew ..."""
    seconds_rate: float = 0.25
    """... and of each second; who has used it up waits."""
    waiting: int = 4
    """Questions of one member that wait for their turn: our own programs ask one at a time."""


@define
class _Account:
    records: TokenBucket
    grants: TokenBucket
    milliseconds: TokenBucket
    one: trio.Lock


class Turn:
    """A member's turn: what is done in it is charged to the member."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.spent = 0.0
        """Seconds of processor."""
        self._clock = clock

    def timed(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """The same work, whose time (in its own thread) is charged."""

        def measured(connection: Connection) -> T:
            start = self._clock()
            try:
                return work(connection)
            finally:
                self.spent += self._clock() - start

        return measured


class Budgets:
    """The accounts of all members that asked since the start."""

    def __init__(
        self, tuning: BudgetTuning | None = None, clock: Callable[[], float] = time.thread_time
    ) -> None:
        """Accounts that are full.

        Args:
            tuning: how much they hold.
            clock: processor seconds of the thread that calls it.
        """
        self._tuning = tuning or BudgetTuning()
        self._clock = clock
        self._accounts: dict[VirtualAddress, _Account] = {}

    def take_records(self, member: VirtualAddress, count: int) -> None:
        """Charge audit records.

        Raises:
            BusyError: it has sent too many; it keeps them, and sends them again later.
        """
        self._take(self._account(member).records, count)

    def take_grant(self, member: VirtualAddress) -> None:
        """Charge a question about a study.

        Raises:
            BusyError: it has asked too often.
        """
        self._take(self._account(member).grants, 1)

    @asynccontextmanager
    async def turn(self, member: VirtualAddress) -> AsyncIterator[Turn]:
        """Wait until it is this member's turn, and it has processor time left.

        Raises:
            BusyError: too many of its questions wait already.
        """
        account = self._account(member)
        if account.one.statistics().tasks_waiting >= self._tuning.waiting:
            raise BusyError("ask one thing at a time: too many questions wait for answers")
        async with account.one:
            await trio.sleep(account.milliseconds.delay(trio.current_time()))
            turn = Turn(self._clock)
            try:
                yield turn
            finally:
                account.milliseconds.charge(1000 * turn.spent, trio.current_time())

    def _take(self, bucket: TokenBucket, count: int) -> None:
        now = trio.current_time()
        if delay := bucket.delay(now):
            raise BusyError(f"too much at once: again in {max(1, round(delay))} s")
        bucket.charge(count, now)

    def _account(self, member: VirtualAddress) -> _Account:
        account = self._accounts.get(member)
        if account is None:
            tuning, now = self._tuning, trio.current_time()
            account = self._accounts[member] = _Account(
                TokenBucket(tuning.records_rate, burst=tuning.records, now=now),
                TokenBucket(tuning.grants_rate, burst=tuning.grants, now=now),
                TokenBucket(1000 * tuning.seconds_rate, burst=1000 * tuning.seconds, now=now),
                trio.Lock(),
            )
        return account
