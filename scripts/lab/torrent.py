"""One libtorrent process of the lab: a seed, or a client that fetches at a common start.

    python -m scripts.lab.torrent TORRENT FOLDER --listen HOST:PORT [--seed]
                                  [--start FILE --connect HOST:PORT …]

It prints JSON lines as our own programs log them: ``{"event": "ready"}`` when it listens, and
``{"event": "transfer ended", …}`` when it has all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

libtorrent: Any = importlib.import_module("libtorrent")
"""As `Any`: it is an extra, and its types differ from what it takes."""

SETTINGS: Final[dict[str, Any]] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "alert_mask": libtorrent.alert.category_t.status_notification,
}
"""TCP alone, nothing encrypted, no rate limits: the best of what was tried."""

POLL_SECONDS: Final = 0.005


def say(event: str, **more: str) -> None:
    """Prints a line as our programs log it."""
    stamp = datetime.now(UTC).isoformat()
    print(json.dumps({"event": event, "timestamp": stamp, **more}), flush=True)


def endpoint(text: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def add(given: argparse.Namespace) -> tuple[Any, Any]:
    """A session and the torrent in it."""
    session = libtorrent.session(SETTINGS | {"listen_interfaces": given.listen})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(str(given.torrent))
    parameters.save_path = str(given.folder)
    if given.seed:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    parameters.flags &= ~libtorrent.torrent_flags.auto_managed
    parameters.flags &= ~libtorrent.torrent_flags.paused
    return session, session.add_torrent(parameters)


def common_start(file: Path) -> None:
    """Waits for the Unix time that the file will name."""
    while not file.exists():
        time.sleep(POLL_SECONDS)
    time.sleep(max(0.0, float(file.read_text(encoding="ascii")) - time.time()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("torrent", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--seed", action="store_true")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--connect", nargs="*", type=endpoint, default=[])
    given = parser.parse_args()
    session, torrent = add(given)
    say("ready")
    if given.start is not None:
        common_start(given.start)
        for peer in given.connect:
            torrent.connect_peer(peer)
    while True:
        session.wait_for_alert(60_000)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.torrent_finished_alert) and not given.seed:
                say("transfer ended", state="complete")


if __name__ == "__main__":
    main()
