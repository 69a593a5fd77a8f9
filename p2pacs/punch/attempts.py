"""When which address of the other member is dialled, from the moment that both were told of.

Pure: no clock, no I/O. Both dial at once from the port that they hold, so that each router takes
what comes from the other for an answer (simultaneous open: RFC 9293, 3.5; RFC 5382, REQ-2). A SYN
that is not answered is left alone: the kernel repeats it after 1 and 3 s, and who comes meanwhile
goes through the hole that it made. One that is refused is spent, and is repeated after 30 to
150 ms, at random: with equal pauses two routers that refuse never meet (measured: linked 1.0 to
1.3 s after 7 to 12 refusals).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from attrs import define, frozen

from p2pacs.punch.addresses import Nearness, Target


@frozen
class AttemptsTuning:
    """How often, and for how long."""

    least_pause: float = 0.03
    most_pause: float = 0.15
    """Seconds between a refusal and the next attempt."""
    lan_first: float = 0.1
    """Seconds that the local network is tried alone: two hospitals behind one router."""
    attempts: int = 40
    """For each address: packets to somebody who may be a stranger after all."""
    seconds: float = 5.0
    """Until there is a connection: 98 % of all that succeed do so at the first try."""


TUNING: Final = AttemptsTuning()
"""What is used unless a test hands in another."""


@define
class _TargetState:
    due: float
    made: int = 0


class Attempts:
    """The attempts of one meeting; times are seconds since its moment."""

    def __init__(
        self, targets: Sequence[Target], seed: bytes, tuning: AttemptsTuning = TUNING
    ) -> None:
        """Nothing is dialled yet.

        Args:
            targets: Where to.
            seed: What makes the pauses of this side and this meeting their own.
            tuning: How often.
        """
        self.tuning = tuning
        self.targets = tuple(targets)
        """Where to."""
        near = any(one.way is Nearness.LAN for one in targets)
        self._states = {
            one: _TargetState(tuning.lan_first if near and one.way is not Nearness.LAN else 0.0)
            for one in targets
        }
        self._random = random.Random(seed)  # noqa: S311 (jitter, no secret)

    def due(self, target: Target) -> float | None:
        """When to dial this address next; None: no more."""
        state = self._states[target]
        if state.made >= self.tuning.attempts or state.due >= self.tuning.seconds:
            return None
        return state.due

    def dialled(self, target: Target) -> None:
        """A SYN goes out: the one that counts until it is `spent`."""
        self._states[target].made += 1

    def spent(self, target: Target, now: float) -> None:
        """It was refused, or what came of it was no use."""
        pause = self._random.uniform(self.tuning.least_pause, self.tuning.most_pause)
        self._states[target].due = now + pause
