"""A transfer as people read it: for the first view of a page and for its live updates. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.languages import N_, _, formats, said
from p2pacs.languages.kept_details import refusal_words
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.texts import clean
from peer.pages.live.chunk_map import chunk_map

SOURCES: Final = 12
"""Sources of one transfer on a page."""

_PRIORITIES: Final = {
    "stat": "STAT",
    "interactive": "",
    "prefetch": N_("low priority"),
    "background": N_("in the background"),
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
        "badge": _with_percent(state, percent),
        "why": "" if paused or fetching else clean(refusal_words(told["error"] or "")),
        "stat": told["priority"] == "stat",
        "priority": said(_PRIORITIES.get(told["priority"]) or ""),
        "percent": percent,
        "amount": _amount(held, total, growing=growing),
        "rate": words.rate(told["rate"]) if fetching else "",
        "left": words.left(told["expected_seconds"]) if fetching else "",
        "map": chunk_map(transfer.have, transfer.root.chunks if transfer.root else 0),
        "sources": [_source(name, one, moving=fetching) for name, one in _most(told)],
        "further": told["further_sources"] + max(0, len(told["sources"]) - SOURCES),
    }


def _with_percent(state: str, percent: int | None) -> str:
    if percent in (None, 100):
        return state
    return _("%(state)s, %(percent)s %%", state=state, percent=percent)


def _amount(held: int, total: int, *, growing: bool) -> str:
    """How much is here; of a study that the PACS still sends, nobody knows the whole."""
    if growing:
        return _("%(size)s so far, the PACS sends more", size=formats.size(held)) if held else ""
    return words.amount(held, total)


def _most(told: JsonObject) -> list[tuple[str, JsonObject]]:
    named = sorted(told["sources"].items(), key=lambda one: (-one[1]["bytes"], one[0]))
    return named[:SOURCES]


def _source(name: str, one: JsonObject, *, moving: bool) -> JsonObject:
    rate = words.rate(one["rate"]) if one["linked"] else _("not linked now")
    return {
        "name": clean(name),
        "role": said(one["role"] or ""),
        "amount": formats.size(one["bytes"]),
        "rate": rate if moving else "",
    }


def _state(transfer: Transfer, *, paused: bool) -> str:
    if paused:
        return _("Paused")
    if transfer.state is TransferState.FETCHING:
        return _("Coming") if transfer.root is not None else _("Waiting for it")
    return _("Here") if transfer.state is TransferState.COMPLETE else _("Stopped")
