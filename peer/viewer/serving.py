"""The viewer of a hospital, running."""

from __future__ import annotations

from pathlib import Path

import trio

from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from peer.config import VIEWER, PeerSettings
from peer.gateway.serving import GatewayParts, web_clients
from peer.viewer.app import make_viewer


async def run_viewer(
    home: Path,
    parts: GatewayParts,
    settings: PeerSettings,
    *,
    blind: bool,
    task_status: trio.TaskStatus[Endpoint | None],
) -> None:
    """The viewer's origin, where it is set, until cancelled.

    Args:
        home: the folder of the peer.
        parts: what DICOMweb answers from.
        settings: of the peer.
        blind: a replica reads nothing.
        task_status: told where it listens, with the real port, or None.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    gateway = settings.gateway
    if gateway.viewer is None or blind:
        task_status.started(None)
        return
    clients = web_clients(gateway)
    app = make_viewer(
        (gateway.viewer_files or home) / VIEWER,
        parts.dicomweb,
        allowed=clients,
        names=gateway.dicomweb_names,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clients.run)
        nursery.start_soon(parts.workers.stay_ready)
        await serve_web(app, gateway.viewer, stop=trio.Event(), task_status=task_status)
