"""How a broker is, for ``broker status``: whether it runs or not, from what it left on its disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from broker.config import LOCK, STORE, BrokerSettings
from broker.database.db import BrokerDatabase
from broker.database.pacs_state import PacsState, pacs_phrase, read_pacs
from broker.members import registry
from broker.setup import web_address
from broker.trail import audit
from p2pacs.files.locks import is_locked
from p2pacs.ids import VirtualAddress
from p2pacs.output.tables import Facts
from p2pacs.units import format_bytes
from p2pacs.version import own_version


@frozen
class BrokerStatus:
    """What is shown of a broker."""

    settings: BrokerSettings
    running: bool
    pacs: PacsState
    members: int
    """That are not revoked."""
    linked: int
    used: int
    """Bytes of the store on disk."""


def read_status(
    folder: Path, settings: BrokerSettings, database: BrokerDatabase, broker: VirtualAddress
) -> BrokerStatus:
    """How the broker in this folder is.

    Args:
        folder: of the broker.
        settings: out of its ``broker.toml``.
        database: its own, open.
        broker: its virtual address.
    """
    running = is_locked(folder / LOCK)
    listed = [one for one in database.transact(registry.list_members) if one.revoked is None]
    return BrokerStatus(
        settings,
        running,
        database.transact(lambda c: read_pacs(c, broker)),
        members=len(listed),
        # A broker that was killed could not say that its members are linked no longer.
        linked=sum(one.linked for one in listed) if running else 0,
        used=sum(_bytes_on_disk(folder / STORE)),
    )


def status_json(status: BrokerStatus) -> dict[str, Any]:
    """For ``--json``."""
    settings, pacs = status.settings, status.pacs
    return {
        "name": settings.name,
        "version": own_version(),
        "running": status.running,
        "pacs": {
            "address": str(settings.central_pacs),
            "state": pacs.state.value,
            "since": audit.utc(pacs.since) if pacs.since else None,
            "last_look": None if pacs.looked is None else audit.utc(pacs.looked),
            "studies": pacs.studies,
            "why": pacs.why,
        },
        "members": {"count": status.members, "linked": status.linked},
        "store": {"used": status.used, "capacity": settings.store.capacity},
        "listen": [str(endpoint) for endpoint in settings.listen],
        "advertise": [str(endpoint) for endpoint in settings.endpoints],
        "web": web_address(settings),
    }


def status_facts(folder: Path, status: BrokerStatus) -> Facts:
    """For people."""
    settings = status.settings
    words = pacs_phrase(status.pacs, str(settings.central_pacs), settings.aet)
    capacity = settings.store.capacity
    room = "" if capacity is None else f" of {format_bytes(capacity)}"
    rows = [
        ("Broker", f"{settings.name}, p2pacs {own_version()}"),
        ("Runs", "yes" if status.running else f"no: start it with p2pacs broker run {folder}"),
        ("PACS", words if status.running else f"When the broker last ran: {words}"),
        ("Members", f"{status.members}, {status.linked} linked"),
        ("Store", f"{format_bytes(status.used)}{room} on disk"),
        ("Listens at", ", ".join(map(str, settings.listen))),
        ("Members reach it at", ", ".join(map(str, settings.endpoints))),
        ("Pages", web_address(settings)),
    ]
    return Facts(rows)


def _bytes_on_disk(folder: Path) -> Iterator[int]:
    """What each file below takes: blocks where the system tells them, as files have holes."""
    for parent, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone since it was listed
                stat = (Path(parent) / name).lstat()
                yield getattr(stat, "st_blocks", -(-stat.st_size // 512)) * 512
