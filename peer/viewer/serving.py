"""The viewer of a hospital, running."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.identity.authority import Authority
from p2pacs.pages.certificate import WebCertificate, host_names
from p2pacs.pages.site_certificate import open_pages_certificate
from p2pacs.units import Endpoint
from p2pacs.web.connections import web_admission
from p2pacs.web.proxies import BehindProxies
from p2pacs.web.serving import serve_web
from peer.config import VIEWER, WEB, WEB_AUTHORITY, PeerSettings
from peer.gateway.serving import GatewayParts, web_clients
from peer.viewer.ahead import StudiesAhead
from peer.viewer.app import make_viewer
from peer.viewer.door import ViewerDoor

CERTIFICATE: Final = "viewer"
"""In the folder of the pages."""


@frozen
class ViewerParts:
    """What the viewer's origin answers from."""

    gateway: GatewayParts
    door: ViewerDoor
    """Where the hospital has pages: who is signed in there, and nobody else, may read."""
    realm: str
    """Tells its cookie from those of other peers on this host."""
    blind: bool
    """Whether it is a replica, which reads nothing."""


async def run_viewer(
    home: Path,
    parts: ViewerParts,
    settings: PeerSettings,
    *,
    task_status: trio.TaskStatus[str | None],
) -> None:
    """The viewer's origin, where it is set, until cancelled.

    Args:
        home: the folder of the peer.
        parts: what it answers from.
        settings: of the peer.
        task_status: told its address for browsers, with the real port, or None.

    Raises:
        StateError: the endpoint cannot be listened on, or the files of a certificate not be used.
        UsageError: a host in the settings that no certificate can name.
    """
    gateway, where = settings.gateway, settings.gateway.viewer
    if where is None or parts.blind:
        task_status.started(None)
        return
    signed_in = settings.web.listen is not None
    clients, backend = web_clients(gateway), parts.gateway.dicomweb
    names = (*gateway.viewer_names, *settings.web.hosts)
    async with trio.open_nursery() as nursery:
        tls = None
        if signed_in and settings.web.secure:
            make = partial(_make_certificate, home / WEB, where, names)
            certificate = await open_pages_certificate(home, settings.web, make)
            nursery.start_soon(certificate.keep_renewed)
            tls = certificate.context
        app = make_viewer(
            (gateway.viewer_files or home) / VIEWER,
            backend,
            allowed=clients,
            names=host_names(where, names) if signed_in else names,
            begin=StudiesAhead(nursery, backend.begin),
            door=parts.door if signed_in else None,
            realm=parts.realm,
            measured=parts.gateway.measured,
        )
        nursery.start_soon(clients.run)
        nursery.start_soon(parts.gateway.workers.stay_ready)
        proxies = settings.web.proxies
        serve = partial(
            serve_web,
            BehindProxies(app, proxies),
            where,
            stop=trio.Event(),
            tls=tls,
            admission=web_admission(proxies),
        )
        listens: Endpoint = await nursery.start(serve)
        parts.door.opened(listens, secure=tls is not None)
        task_status.started(f"{'https' if tls else 'http'}://{listens}")


def _make_certificate(folder: Path, where: Endpoint, names: tuple[str, ...]) -> WebCertificate:
    """Of the authority of the pages, which are served before."""
    authority = Authority.load(folder / WEB_AUTHORITY)
    return WebCertificate.make(folder / CERTIFICATE, authority, partial(host_names, where, names))
