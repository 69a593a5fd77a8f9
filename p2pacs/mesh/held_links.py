"""Members to whom a link is held: dialled again, ever less often, until they can be reached."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Container
from typing import Final

import trio
from attrs import frozen

from p2pacs.concurrency.signals import Watch
from p2pacs.concurrency.tasks import Tasks
from p2pacs.ids import VirtualAddress


@frozen
class HeldLinksTuning:
    """When a member is dialled again."""

    retry_seconds: float = 0.5
    """Pause before the second try to reach a member; doubled up to ..."""
    retry_limit: float = 30.0
    broker_retry_limit: float = 3.0
    """... this many seconds. All wait for the broker: a SYN every three costs no line anything."""
    revoked_retry_limit: float = 300.0
    """... or this many where the last answer was that this host is revoked: a handshake costs both
    sides more than a SYN, and to be let in again takes an administrator."""


TUNING: Final = HeldLinksTuning()
"""What is used unless a test hands in another."""


class HeldLinks:
    """One task for each member to whom somebody here wants a link."""

    def __init__(
        self,
        links: Container[VirtualAddress],
        watch: Watch,
        dial: Callable[[VirtualAddress], Awaitable[bool]],
        is_broker: Callable[[VirtualAddress], bool],
        *,
        is_revoked_at: Callable[[VirtualAddress], bool],
        seed: bytes,
        tuning: HeldLinksTuning = TUNING,
    ) -> None:
        """Nobody is dialled before `run`.

        Args:
            links: Members with a link.
            watch: Changed whenever `links` is.
            dial: Tries to reach a member, whom somebody else may be dialling already; whether it
                was reached.
            is_broker: Whether a member is one.
            is_revoked_at: Whether a member said last that this host is revoked.
            seed: What makes the pauses of this host its own.
            tuning: When a member is dialled again.
        """
        self._links = links
        self._watch = watch
        self._dial = dial
        self._is_broker = is_broker
        self._is_revoked_at = is_revoked_at
        self._tuning = tuning
        self._wanted: Counter[VirtualAddress] = Counter()
        self._random = random.Random(seed)  # noqa: S311 (jitter, no secret)
        self._tasks = Tasks()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold links until cancelled."""
        async with self._tasks.open() as nursery:
            for member in self._wanted:
                nursery.start_soon(self._hold, member)
            task_status.started()
            await trio.sleep_forever()

    def keep(self, member: VirtualAddress) -> None:
        """From now on hold a link to this member whenever it can be reached."""
        self._wanted[member] += 1
        if self._wanted[member] == 1:
            self._tasks.start(self._hold, member)
        elif member not in self._links:  # somebody needs it now: not after the pause
            self._tasks.start(self._dial, member)

    def release(self, member: VirtualAddress) -> None:
        """One `keep` less; an open link stays until one side closes it."""
        self._wanted[member] -= 1
        if self._wanted[member] == 0:
            del self._wanted[member]
            self._watch.changed()

    async def _hold(self, member: VirtualAddress) -> None:
        pause = self._tuning.retry_seconds
        while member in self._wanted:
            if await self._dial(member):
                since = trio.current_time()
                await self._watch.until(
                    lambda: member not in self._links or member not in self._wanted
                )
                if trio.current_time() - since > self._limit(member):
                    pause = self._tuning.retry_seconds
            with trio.move_on_after(pause * self._random.uniform(0.8, 1.2)):
                await self._watch.until(lambda: member in self._links or member not in self._wanted)
            pause = min(self._limit(member), pause * 2)

    def _limit(self, member: VirtualAddress) -> float:
        if self._is_revoked_at(member):
            return self._tuning.revoked_retry_limit
        is_broker = self._is_broker(member)
        return self._tuning.broker_retry_limit if is_broker else self._tuning.retry_limit
