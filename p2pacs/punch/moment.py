"""When two members that a neighbour introduces begin to dial each other. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

LATEST: Final = 2.0
"""Seconds: a round trip that took longer was one in a queue, and will not be the next one."""


def delays(trip_to_one: float, trip_to_other: float) -> tuple[float, float]:
    """How long each of two waits from when it hears that it shall begin.

    Both are told at the same moment; who is nearer hears it earlier by half of the difference of
    the round trips, and waits that long.

    Args:
        trip_to_one: Seconds there and back, as the neighbour measured.
        trip_to_other: Likewise.
    """
    one, other = (min(max(trip, 0.0), LATEST) / 2 for trip in (trip_to_one, trip_to_other))
    late = max(one, other)
    return late - one, late - other
