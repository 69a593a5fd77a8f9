"""An uplink with a queue that drops its tail, routers that answer, and others who use it, too."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from p2pacs.line.hop_trips import HopTrips
from p2pacs.line.queue_control import QueueController
from scripts.lab.icmp import LIMITED, ErrorLimit

STEP: Final = 0.01
UPDATE: Final = 10
"""Steps between two updates of the controller."""

TRIP: Final = 0.042
HOP_TRIP: Final = 0.021
ROOM: Final = 32_000

Others = Callable[[float, float], float]
"""What others send, in bytes a second, by the time and by the seconds in the queue."""


@frozen
class Moment:
    """The line at one time."""

    time: float
    rate: float
    queue: float
    """Seconds that a packet waits."""
    used: float
    """Part of the line that was ours."""


def nobody(_now: float, _queue: float) -> float:
    """No others."""
    return 0.0


class Reno:
    """Others' TCP that never yields: it fills the queue, and halves when that overflows."""

    def __init__(self, rate: float) -> None:
        self._line = rate
        self._window = 4 * 1448.0

    def __call__(self, _now: float, queue: float) -> float:
        trip = TRIP + queue
        if queue >= 0.97 * ROOM / self._line:
            self._window *= 0.7 if self._window > self._line * trip * 0.3 else 1.0
        self._window += 1448 * STEP / trip
        return self._window / trip


class ModelledUplink:
    """Runs the controller and its round trips on a line."""

    def __init__(
        self,
        *,
        seed: int = 1,
        sparing: bool = False,
        noise: float = 0.002,
        in_front: int = 1,
        room: float = ROOM,
    ) -> None:
        """One that nobody used yet.

        Args:
            seed: Of what is random.
            sparing: Whether routers tell of one probe a second.
            noise: Seconds that a router takes to answer, at most.
            in_front: Routers in front of the queue.
            room: Bytes that wait at most.
        """
        self.hops = HopTrips()
        self.control = QueueController(0.0)
        self.moments: list[Moment] = []
        self._random = random.Random(seed)  # noqa: S311 (noise, no secret)
        self._room = room
        self._sparing, self._noise, self._in_front = sparing, noise, in_front
        self._limits: dict[int, ErrorLimit] = {}
        self._queue = 0.0
        self._answers: list[tuple[float, int, int]] = []
        self._probe_at = 0.0
        self._delivered: deque[float] = deque([0.0] * round(TRIP / STEP))
        self._since = 0.0
        self._step = 0

    @property
    def now(self) -> float:
        return self._step * STEP

    def run(
        self, seconds: float, rate: float, others: Others = nobody, *, limited: bool = True
    ) -> Sequence[Moment]:
        """So long on a line of so many bytes a second."""
        begin = len(self.moments)
        for _ in range(round(seconds / STEP)):
            self._step += 1
            mine = self.control.rate * STEP if limited else 0.0
            theirs = others(self.now, self._queue / rate) * STEP
            total = self._queue + mine + theirs
            served = min(total, rate * STEP)
            self._queue = min(total - served, self._room)
            part = mine / (mine + theirs) if mine + theirs else 0.0
            self._delivered.append(served * part)
            self._since += self._delivered.popleft()
            sending = 1492 / rate * self._random.random() * min(1.0, total / (rate * STEP))
            self._probe(self._queue / rate + sending)
            if self._step % UPDATE == 0:
                self._update(limited)
            moment = Moment(
                self.now, self.control.rate, self._queue / rate, served * part / (rate * STEP)
            )
            self.moments.append(moment)
        return self.moments[begin:]

    def _probe(self, waits: float) -> None:
        if self.now >= self._probe_at:
            self._probe_at = self.now + self.hops.interval(self.now) * self._random.uniform(
                0.75, 1.25
            )
            for probe in self.hops.probes(self.now):
                if self._tells(probe.ttl):
                    trip = HOP_TRIP + waits if probe.ttl > self._in_front else 0.001
                    trip += self._random.random() * self._noise
                    self._answers.append((self.now + trip, probe.port, probe.ttl))
        due = [answer for answer in sorted(self._answers) if answer[0] <= self.now]
        for at, port, ttl in due:
            self._answers.remove((at, port, ttl))
            self.hops.answered(port, f"192.0.2.{ttl}", at)

    def _tells(self, ttl: int) -> bool:
        if ttl > self._in_front + 1:
            return False
        if not self._sparing:
            return True
        limit = self._limits.setdefault(ttl, ErrorLimit(LIMITED))
        return limit.takes(self.now)

    def _update(self, limited: bool) -> None:
        look = self.hops.look(self.now)
        if look is not None:
            jitter = self._random.uniform(0.8, 1.2)
            self.control.update(self._since * jitter, look, limited=limited, now=self.now)
            self._since = 0.0


def use(moments: Sequence[Moment]) -> float:
    """The part of the line that was ours."""
    return sum(moment.used for moment in moments) / len(moments)


def queue(moments: Sequence[Moment], part: float) -> float:
    """The queue that is not exceeded in this part of the time."""
    return sorted(moment.queue for moment in moments)[int(part * (len(moments) - 1))]
