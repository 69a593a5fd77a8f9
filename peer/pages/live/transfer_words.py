"""A transfer as people read it: for the first view of a page and for its live updates. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.texts import clean
from p2pacs.units import format_bytes
from peer.pages.live.chunk_map import chunk_map

SOURCES: Final = 12
"""Sources of one transfer on a page."""

_PRIORITIES: Final = {
    "stat": "STAT",
    "interactive": "",
    "prefetch": "low priority",
    "background": "in the background",
}


def transfer_words(transfer: Transfer, told: JsonObject, *, paused: bool) -> JsonObject:
    """How a transfer is.

    Args:
        transfer: which.
        told: as the local interface tells it (`peer.api.status.transfer_json`), with rates.
        paused: whether somebody paused it.
    """
    fetching = transfer.state is TransferState.FETCHING
    growing = told["growing"] and transfer.state is not TransferState.COMPLETE
    total = told["bytes_total"]
    held = min(told["bytes_held"], total) if total else told["bytes_held"]
    percent = None if growing else 100 * held // total if total else 0
    state = _state(transfer, paused=paused)
    return {
        "study": told["study"],
        "state": "paused" if paused else str(transfer.state),
        "words": state,
        "badge": state if percent in (None, 100) else f"{state}, {percent} %",
        "why": "" if paused or fetching else clean(told["error"] or ""),
        "stat": told["priority"] == "stat",
        "priority": _PRIORITIES.get(told["priority"], told["priority"]),
        "percent": percent,
        "amount": _amount(held, total, growing=growing),
        "rate": words.rate(told["rate"]) if fetching else "",
        "left": words.left(told["expected_seconds"]) if fetching else "",
        "map": chunk_map(transfer.have, transfer.root.chunks if transfer.root else 0),
        "sources": [_source(name, one, moving=fetching) for name, one in _most(told)],
        "further": told["further_sources"] + max(0, len(told["sources"]) - SOURCES),
    }


def _amount(held: int, total: int, *, growing: bool) -> str:
    """How much is here; of a study that the PACS still sends, nobody knows the whole."""
    if growing:
        return f"{format_bytes(held)} so far, the PACS sends more" if held else ""
    return words.amount(held, total)


def _most(told: JsonObject) -> list[tuple[str, JsonObject]]:
    named = sorted(told["sources"].items(), key=lambda one: (-one[1]["bytes"], one[0]))
    return named[:SOURCES]


def _source(name: str, one: JsonObject, *, moving: bool) -> JsonObject:
    rate = words.rate(one["rate"]) if one["linked"] else "not linked now"
    return {
        "name": clean(name),
        "role": one["role"] or "",
        "amount": format_bytes(one["bytes"]),
        "rate": rate if moving else "",
    }


def _state(transfer: Transfer, *, paused: bool) -> str:
    if paused:
        return "Paused"
    if transfer.state is TransferState.FETCHING:
        return "Coming" if transfer.root is not None else "Waiting for it"
    return "Here" if transfer.state is TransferState.COMPLETE else "Stopped"
