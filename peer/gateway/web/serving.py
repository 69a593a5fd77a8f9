"""The DICOMweb services of a hospital, running."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import trio
from starlette.types import ASGIApp

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.store_backend import StoreBackend
from p2pacs.units import Endpoint, IPNetwork
from p2pacs.web.connections import web_admission
from p2pacs.web.proxies import BehindProxies
from p2pacs.web.serving import serve_web
from peer.gateway.web.clients import WebClients


async def run_dicomweb(
    backend: DicomwebBackend,
    where: Endpoint,
    clients: WebClients,
    names: Collection[str],
    *,
    store: StoreBackend | None = None,
    may_store: WebClients | None = None,
    proxies: Sequence[IPNetwork] = (),
    measured: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    task_status: trio.TaskStatus[Endpoint],
) -> None:
    """Serve until cancelled.

    Args:
        backend: what is answered from.
        where: to listen.
        clients: who may read.
        names: host names of this machine.
        store: keeps what is stored; None: nothing may be.
        may_store: who may store.
        proxies: networks of reverse proxies before it.
        measured: counts requests of what it is given.
        task_status: told where it listens, with the real port.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    services = measured(
        make_dicomweb(backend, allowed=clients, names=names, store=store, may_store=may_store)
    )
    app = BehindProxies(services, proxies)
    admission = web_admission(proxies)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clients.run)
        await serve_web(app, where, stop=trio.Event(), admission=admission, task_status=task_status)
