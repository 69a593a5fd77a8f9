"""A host's line in virtual time: one queue each way, shared by all of the host's streams."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from typing import Final

import trio
from attrs import define, field

from p2pacs.limits import KIB
from p2pacs.line.pacing import NO_OVERHEAD, Overhead
from tests.simulation.clock import timer

QUEUE: Final = 32 * KIB
"""Bytes that wait in a modem at most."""


class Sleeper:
    """A task that waits, if there is one."""

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    @property
    def sleeping(self) -> bool:
        return self._task is not None

    async def sleep(self) -> None:
        """Until `wake`."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> bool:
        """Wake the task; whether there was one."""
        task, self._task = self._task, None
        if task is None:
            return False
        trio.lowlevel.reschedule(task)
        return True


@define(eq=False)
class Nic:
    """A host's line: all of its streams share it."""

    up: float = math.inf
    """Bytes a second."""
    down: float = math.inf
    delay: float = 0.0005
    """Seconds each way."""
    queue: int = QUEUE
    loss: float = 0.0
    """How likely a segment that goes out is lost."""
    overhead: Overhead = NO_OVERHEAD
    """What TLS, TCP and IP add: headers, and acknowledgements of what came in."""
    random: random.Random = field(factory=lambda: random.Random(1))  # noqa: S311 (no secret)
    sent: int = 0
    """Bytes that went out."""
    received: int = 0
    """Bytes that were read."""
    messages: Counter[int] = field(factory=Counter)
    """Messages sent, by their number ..."""
    message_bytes: Counter[int] = field(factory=Counter)
    """... and their bytes."""
    up_free: float = 0.0
    """When all that is under way will be out ..."""
    down_free: float = 0.0
    """... and in."""
    _waiting: deque[Sleeper] = field(factory=deque)
    _turn_set: bool = False

    def counted(self) -> tuple[int, int, Counter[int], Counter[int]]:
        """What went over the line so far."""
        return self.sent, self.received, self.messages, self.message_bytes

    def count(
        self, sent: int, received: int, messages: Counter[int], message_bytes: Counter[int]
    ) -> None:
        """What another process counted for this line."""
        self.sent, self.received = sent, received
        self.messages, self.message_bytes = messages, message_bytes

    def push(self, size: float, now: float) -> float:
        """Send ``size`` bytes behind all others; when the first of them goes out."""
        start = max(now, self.up_free)
        self.up_free = start + size / self.up
        self.sent += round(size)
        return start

    def pull(self, size: float, now: float) -> float:
        """Receive ``size`` bytes behind all others; when the last of them is in."""
        self.down_free = max(now, self.down_free) + size / self.down
        return self.down_free

    def full(self, now: float) -> bool:
        """Whether the queue has no room."""
        return self.up_free - self.queue / self.up > now

    async def room(self, sender: Sleeper) -> None:
        """Wait for room in the queue, once, behind all others that wait."""
        self._waiting.append(sender)
        self.set_turn()
        await sender.sleep()

    def set_turn(self) -> None:
        """Have the next of those who wait come as soon as there is room."""
        if self._waiting and not self._turn_set:
            self._turn_set = True
            timer()(self.up_free - self.queue / self.up, self._turn)

    def _turn(self) -> bool:
        self._turn_set = False
        while self._waiting:
            if self._waiting.popleft().wake():
                return True
        return False
