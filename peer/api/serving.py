"""The local interface, running."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from p2pacs.concurrency.until_possible import until_possible
from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from peer.api.api import ServedPeer, make_api, make_token


async def run_api(
    peer: ServedPeer, folder: Path, where: Endpoint, *, task_status: trio.TaskStatus[Endpoint]
) -> None:
    """Serve until cancelled; reports where, once its token is in the folder.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    make = partial(trio.to_thread.run_sync, make_token, folder)
    token = await until_possible(make, "the token of the local interface")
    app = make_api(peer, token)
    await serve_web(app, where, stop=trio.Event(), task_status=task_status)
