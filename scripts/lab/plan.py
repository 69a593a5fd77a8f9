"""What runs in the lab: who, how much, for how long at most."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from scripts.network import LineRates


@frozen
class Plan:
    """One swarm."""

    replicas: Sequence[str]
    """Have the study from the start."""
    clients: Sequence[str]
    """All want it at once."""
    lines: LineRates
    """What members are told of their lines; nothing: they find out."""
    megabytes: float
    """About so many million bytes of study."""
    kill_broker: bool
    longest: float
    """Seconds that the transfers may take."""
    size: int
    """Bytes that an opponent moves: what ours moved; 0 before it ran."""
