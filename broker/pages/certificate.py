"""HTTPS for the administrator's pages: a certificate of the network's own authority."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import frozen

from broker.config import WebSettings
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.identity.certificates import is_virtual
from p2pacs.private_files import make_private_folder, write_private
from p2pacs.web.addresses import machine_addresses
from p2pacs.web.serving import web_context

LIFETIME: Final = timedelta(days=90)

_KEY: Final = "web-key.pem"
_CERTIFICATE: Final = "web-cert.pem"


def host_names(
    settings: WebSettings,
    machine: Callable[[], Sequence[str]] = machine_addresses,
    name: Callable[[], str] = socket.gethostname,
) -> Sequence[str]:
    """What the pages are called: in their certificate, and in requests that they answer.

    That is where they listen (for all addresses: each of this machine's), and what else the
    administrator says.

    Args:
        settings: of the pages.
        machine: says which addresses this machine has.
        name: says what it is called.
    """
    if not settings.listen.is_unspecified:
        return tuple(dict.fromkeys([*settings.hosts, settings.listen.host]))
    here = [one for one in machine() if not is_virtual(one)]
    return tuple(dict.fromkeys([*settings.hosts, name(), "localhost", *here]))


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
        context = web_context(str(folder / _CERTIFICATE), str(folder / _KEY))
        return cls(folder, authority, hosts, context)

    def renew(self) -> None:
        """A fresh certificate; connections made from now on see it."""
        _issue(self.folder, self.authority, self.hosts())
        self.context.load_cert_chain(self.folder / _CERTIFICATE, self.folder / _KEY)


def _issue(folder: Path, authority: Authority, hosts: Sequence[str]) -> None:
    key = certificates.generate_key()
    csr = certificates.request(certificates.load_key(key, "the key of the pages"))
    issued = authority.issue_web(csr, hosts, lifetime=LIFETIME)
    write_private(folder / _KEY, key.reveal())
    # With the authority's, so that a browser that trusts it need not fetch it.
    write_private(folder / _CERTIFICATE, certificates.to_pem(issued, authority.certificate))
