"""The hospital's pages, served where the settings say so."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs import languages
from p2pacs.identity.authority import Authority
from p2pacs.ids import VirtualAddress
from p2pacs.pages.certificate import WebCertificate, host_names
from p2pacs.pages.site_certificate import open_pages_certificate
from p2pacs.units import Endpoint
from p2pacs.web.connections import web_admission
from p2pacs.web.serving import serve_web
from peer.config import WEB, WEB_AUTHORITY, PeerSettings
from peer.db import PeerDatabase
from peer.pages.app import make_pages
from peer.pages.content import PagesContent

_NAME: Final = 64
"""Characters of a name in a certificate (X.520, ub-common-name)."""

log = structlog.get_logger(__name__)


@frozen
class PagesParts:
    """What the pages show, and what they ask."""

    database: PeerDatabase
    address: VirtualAddress
    """Of this member."""
    blind: bool
    """Whether it is a replica, which has no hospital's people."""
    content: PagesContent | None = None
    """What they show; None: nothing but who is signed in."""


async def run_pages(
    parts: PagesParts,
    folder: Path,
    settings: PeerSettings,
    *,
    task_status: trio.TaskStatus[str | None],
) -> None:
    """Serve the pages until cancelled; reports their address for browsers.

    Where the settings name no place, or for a replica, it reports None and ends.

    Args:
        parts: of the peer.
        folder: of the peer.
        settings: out of its ``peer.toml``.
        task_status: told the address, once they are served.

    Raises:
        StateError: the endpoint cannot be listened on, or the files of a certificate not be used.
        UsageError: a host in the settings that no certificate can name.
    """
    web = settings.web
    if web.listen is None or parts.blind:
        if parts.blind and web.listen is not None:
            log.info("no pages: a replica shows nobody a study")
        task_status.started(None)
        return
    certificate = None
    if web.secure:
        make = partial(_make_certificate, folder / WEB, settings, web.listen)
        certificate = await open_pages_certificate(folder, web, make)
    await trio.to_thread.run_sync(languages.load)
    admission = web_admission(web.proxies)
    app = make_pages(
        settings.name,
        parts.database,
        web,
        parts.content,
        names=host_names(web.listen, web.hosts),
        realm=parts.address.raw[-4:].hex(),
        came=admission.member_came,
    )
    async with trio.open_nursery() as nursery:
        if parts.content is not None:
            nursery.start_soon(parts.content.run)
        tls = None
        if certificate is not None:
            tls = certificate.context
            nursery.start_soon(certificate.keep_renewed)
        serve = partial(serve_web, app, web.listen, stop=trio.Event(), tls=tls, admission=admission)
        where: Endpoint = await nursery.start(serve)
        task_status.started(f"{'https' if tls else 'http'}://{where}")


def _make_certificate(folder: Path, settings: PeerSettings, listen: Endpoint) -> WebCertificate:
    """Of an authority for these pages alone: the network's is the broker's, and admits members."""
    home = folder / WEB_AUTHORITY
    if home.exists():
        authority = Authority.load(home)
    else:
        authority = Authority.create(home, f"Pages of {settings.name}"[:_NAME].strip())
    return WebCertificate.make(folder, authority, partial(host_names, listen, settings.web.hosts))
