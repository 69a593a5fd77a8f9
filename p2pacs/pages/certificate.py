"""HTTPS for pages: a certificate of an authority of ours, the network's or the hospital's own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import P2PacsError
from p2pacs.files.private_files import make_private_folder, write_private
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.identity.certificates import is_virtual
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_addresses
from p2pacs.web.serving import web_context

log = structlog.get_logger(__name__)

LIFETIME: Final = timedelta(days=90)

EVERY: Final = 12 * 3600.0
"""Seconds after which a running program makes a fresh one."""

_WHAT: Final = "the certificate of the pages"
_KEY: Final = "web-key.pem"
CERTIFICATE: Final = "web-cert.pem"
"""In its folder."""


def host_names(
    listen: Endpoint,
    hosts: Sequence[str],
    machine: Callable[[], Sequence[str]] = machine_addresses,
    name: Callable[[], str] = socket.gethostname,
) -> Sequence[str]:
    """What the pages are called: in their certificate, and in requests that they answer.

    That is where they listen (for all addresses: each of this machine's), and what else the
    administrator says.

    Args:
        listen: where the pages are served.
        hosts: names and addresses that the settings add.
        machine: says which addresses this machine has.
        name: says what it is called.
    """
    if not listen.is_unspecified:
        return tuple(dict.fromkeys([*hosts, listen.host]))
    here = [one for one in machine() if not is_virtual(one)]
    return tuple(dict.fromkeys([*hosts, name(), "localhost", *here]))


@frozen
class WebCertificate:
    """Key and certificate in a folder, and the context that uses them."""

    folder: Path
    authority: Authority
    hosts: Callable[[], Sequence[str]]
    """Asked again for every new certificate: a machine's addresses change."""
    context: ssl.SSLContext

    @classmethod
    def make(
        cls, folder: Path, authority: Authority, hosts: Callable[[], Sequence[str]]
    ) -> WebCertificate:
        """A fresh key and certificate.

        Raises:
            UsageError: a host that cannot be named.
        """
        make_private_folder(folder)
        _issue(folder, authority, hosts())
        context = web_context(str(folder / CERTIFICATE), str(folder / _KEY))
        return cls(folder, authority, hosts, context)

    def renew(self) -> None:
        """A fresh certificate; connections made from now on see it."""
        _issue(self.folder, self.authority, self.hosts())
        self.context.load_cert_chain(self.folder / CERTIFICATE, self.folder / _KEY)

    async def keep_renewed(self) -> None:
        """Renew for ever; what cannot be renewed now is tried again, and the old one does."""
        while True:
            await trio.sleep(EVERY)
            try:
                await until_possible(partial(trio.to_thread.run_sync, self.renew), _WHAT)
            except P2PacsError as error:
                told = "the certificate of the pages is not renewed"
                log.error(told, error=str(error))  # noqa: TRY400 - no bug: no traceback


async def make_certificate(make: Callable[[], WebCertificate]) -> WebCertificate:
    """A fresh certificate, as soon as the disk has room.

    Args:
        make: calls `WebCertificate.make`, in a worker thread.

    Raises:
        UsageError: a host that cannot be named.
    """
    return await until_possible(partial(trio.to_thread.run_sync, make), _WHAT)


def _issue(folder: Path, authority: Authority, hosts: Sequence[str]) -> None:
    key = certificates.generate_key()
    csr = certificates.request(certificates.load_key(key, "the key of the pages"))
    issued = authority.issue_web(csr, hosts, lifetime=LIFETIME)
    write_private(folder / _KEY, key.reveal())
    # With the authority's, so that a browser that trusts it need not fetch it.
    write_private(folder / CERTIFICATE, certificates.to_pem(issued, authority.certificate))
