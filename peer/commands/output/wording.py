"""Times and rates of transfers as people read them."""

from __future__ import annotations

from p2pacs import units
from p2pacs.output.json_object import JsonObject


def when(transfer: JsonObject) -> str:
    """When a transfer ends, or how long it took."""
    if transfer["state"] == "complete":
        received = transfer["bytes_received"]
        return f"in {format_seconds(transfer['seconds'])}" if received else "was here"
    if transfer["state"] == "failed":
        return "failed"
    if transfer["expected_seconds"] is not None:
        return f"{format_seconds(transfer['expected_seconds'])} left"
    if transfer["growing"]:
        return "being published" if transfer["bytes_total"] else "waiting for the broker"
    return "measuring" if transfer["rate"] or transfer["seconds"] < 1 else "waiting"


def format_seconds(seconds: float) -> str:
    """A time for people: ``0.8 s``, ``12 s``, ``3:05 min``, ``2:07 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def format_rate(rate: float) -> str:
    """Bytes a second as bits a second, to three digits: more would only flicker."""
    bits = round(rate * 8)
    return f"{units.format_rate(round(bits, 3 - len(str(bits))))}/s" if bits else ""
