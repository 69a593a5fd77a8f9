"""The administrator's pages, running."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from broker.admins.actions import AdminActions
from broker.config import WEB, AdminWebSettings
from broker.database.db import BrokerDatabase
from broker.pages.app import make_app
from broker.pages.content import AdminContent
from broker.pages.studies.live_publications import LivePublications
from p2pacs import languages
from p2pacs.identity.authority import Authority
from p2pacs.pages.certificate import WebCertificate, host_names
from p2pacs.pages.live_updates import LiveUpdates
from p2pacs.pages.site_certificate import PagesCertificate, open_pages_certificate
from p2pacs.units import Endpoint
from p2pacs.web.connections import web_admission
from p2pacs.web.serving import serve_web


async def open_certificate(
    home: Path, authority: Authority, settings: AdminWebSettings
) -> PagesCertificate | None:
    """The certificate of the pages: of the settings, or a fresh one as soon as the disk has room.

    Args:
        home: folder of the broker.
        authority: issues a fresh one.
        settings: say what the pages are called.

    Returns:
        None where they are served without HTTPS.

    Raises:
        StateError: the files of the settings cannot be used.
        UsageError: a host that cannot be named.
    """
    if not settings.secure:
        return None
    hosts = partial(host_names, settings.listen, settings.hosts)
    make = partial(WebCertificate.make, home / WEB, authority, hosts)
    return await open_pages_certificate(home, settings, make)


async def run_pages(
    database: BrokerDatabase,
    actions: AdminActions,
    settings: AdminWebSettings,
    certificate: PagesCertificate | None,
    content: AdminContent,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[Endpoint],
) -> None:
    """Serve until told to stop: requests under way are answered first. Reports where.

    Raises:
        StateError: the endpoint cannot be listened on.
    """
    await trio.to_thread.run_sync(languages.load)
    admission = web_admission(settings.proxies)
    live = LiveUpdates(LivePublications(content))
    app = make_app(database, actions, settings, content, live, came=admission.member_came)
    tls = certificate.context if certificate else None
    serve = partial(serve_web, app, settings.listen, stop=stop, tls=tls, admission=admission)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        nursery.start_soon(_end_streams, live, stop)
        await serve(task_status=task_status)
        nursery.cancel_scope.cancel()


async def _end_streams(live: LiveUpdates, stop: trio.Event) -> None:
    await stop.wait()
    live.end_all()
