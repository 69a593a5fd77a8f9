"""What a run was like, as figures. Pure: no clock and no I/O."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from scripts.lab.trace import Trace

GOALS: Final = {1: 1.06, 4: 1.09, 8: 1.09, 16: 1.11, 32: 1.20}
"""Clients → last client over the fluid limit, at most; with other lines, these are not asked."""

GOAL_WITH_LOSS: Final = 1.2
"""With 1 % loss."""

GOAL_WITHOUT_BROKER: Final = 1.12
"""With the broker killed after the start."""

GIGABYTE: Final = 1e9


def fluid_seconds(
    size: int, origins: Iterable[int], uplinks: Sequence[int], downlinks: Sequence[int]
) -> float:
    """The least seconds in which every client can have all bytes (Kumar and Ross, 2006).

    Headers are counted as if they were payload, so nobody can quite reach it.

    Args:
        size: bytes that every client wants.
        origins: bits a second of each uplink that has them from the start.
        uplinks: bits a second of each client's uplink.
        downlinks: bits a second of each client's downlink.
    """
    bits, first = size * 8, sum(origins)
    everybody = len(downlinks) * bits / (first + sum(uplinks))
    return max(bits / first, bits / min(downlinks), everybody)


def goal(clients: int, *, loss: float, broker_killed: bool) -> float:
    """The ratio that a run must reach; between two sizes, the larger one's."""
    asked = next((goal for size, goal in GOALS.items() if clients <= size), GOALS[max(GOALS)])
    if loss:
        return max(asked, GOAL_WITH_LOSS)
    return max(asked, GOAL_WITHOUT_BROKER) if broker_killed else asked


EDGE_SECONDS: Final = 4.0
"""The beginning and the end of a run, where lines are idle for want of something to send."""


@frozen
class SwarmOutcome:
    """One swarm's run."""

    begin: float
    """Unix time at which all clients were told to fetch."""
    ends: Mapping[str, float]
    """Client → Unix time at which it had all."""
    size: int
    """Bytes that each fetched."""

    @property
    def end(self) -> float:
        """Unix time at which the last had all."""
        return max(self.ends.values())


def figures(
    outcome: SwarmOutcome, trace: Trace, *, fluid: float, cpu: float, rates: Mapping[str, int]
) -> dict[str, Any]:
    """What is printed of a run.

    Args:
        outcome: when who had it.
        trace: what went over the lines.
        fluid: `fluid_seconds` of it.
        cpu: seconds of processor that all members' processes took.
        rates: bits a second of each member's uplink.
    """
    seconds = sorted(end - outcome.begin for end in outcome.ends.values())
    moved = len(seconds) * outcome.size
    sent = trace.between("up", outcome.begin, outcome.end)
    wire = {name: sent[name] for name in rates}
    drops, down_drops = (
        sum(trace.between(field, outcome.begin, outcome.end).values())
        for field in ("up_dropped", "down_dropped")
    )
    return {
        "first": round(seconds[0], 2),
        "median": round(statistics.median(seconds), 2),
        "last": round(seconds[-1], 2),
        "fluid": round(fluid, 2),
        "ratio": round(seconds[-1] / fluid, 4),
        "wire_over_payload": round(sum(wire.values()) / moved, 4),
        "cpu_seconds": round(cpu, 2),
        "cpu_seconds_per_gb": round(cpu / (moved / GIGABYTE), 1),
        "bytes": outcome.size,
        "uplink_use": {
            name: round(wire[name] * 8 / rate / seconds[-1], 3) for name, rate in rates.items()
        },
        "uplink_drops": round(drops),
        "downlink_drops": round(down_drops),
        "idle_seconds": idle_seconds(outcome, trace, rates),
    }


def idle_seconds(
    outcome: SwarmOutcome, trace: Trace, rates: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """For how long uplinks carried nothing: where time is lost.

    Returns:
        By kind of member (its name without the number), the mean of its uplinks: seconds in the
        first and the last `EDGE_SECONDS`, and between.
    """
    begin, end = outcome.begin, outcome.end
    edge = min(EDGE_SECONDS, (end - begin) / 2)
    bounds = {
        "start": (begin, begin + edge),
        "middle": (begin + edge, end - edge),
        "end": (end - edge, end),
    }
    kinds: dict[str, list[str]] = {}
    for name in rates:
        kinds.setdefault(name.partition("-")[0], []).append(name)
    return {
        kind: {
            phase: round(
                statistics.mean(
                    until - since - trace.between("up", since, until)[name] * 8 / rates[name]
                    for name in names
                ),
                2,
            )
            for phase, (since, until) in bounds.items()
        }
        for kind, names in kinds.items()
    }
