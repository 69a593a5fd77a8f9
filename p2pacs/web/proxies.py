"""Whose request it is, behind a reverse proxy: X-Forwarded-For, believed of proxies alone.

Without it all who come through a proxy are one address: they would wait for each other's wrong
passwords, and the audit trail would name the proxy; and what DICOMweb lets in by address would be
all of them, or nobody. X-Forwarded-Proto says how the browser came: URLs in answers begin so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.units import IPNetwork

_HEADER: Final = b"x-forwarded-for"
_SCHEME: Final = b"x-forwarded-proto"
_SCHEMES: Final = frozenset({"http", "https"})

_HOPS: Final = 8
"""Proxies in a row at most."""


class BehindProxies:
    """Sets client's address and scheme of a request that a known proxy passes on."""

    def __init__(self, app: ASGIApp, proxies: Sequence[IPNetwork]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._proxies and scope.get("client") is not None:
            host, port = scope["client"]
            client = client_address(host, _said(scope, _HEADER), self._proxies)
            scope = {**scope, "client": (client, port)}
            scheme = _said(scope, _SCHEME).strip().lower()
            if scheme in _SCHEMES and _is_in(host, self._proxies):
                scope["scheme"] = scheme
        await self._app(scope, receive, send)


def _said(scope: Scope, header: bytes) -> str:
    """All values of a header, in the order in which they stand."""
    values = (value for name, value in scope.get("headers", ()) if name == header)
    return b",".join(values).decode("latin-1")


def client_address(peer: str, forwarded: str, proxies: Sequence[IPNetwork]) -> str:
    """The first address, counted from here, that is no proxy of ours.

    Each proxy adds, at the end, the address from which it was asked; what stands before the
    first that is not ours, its sender may have made up.

    Args:
        peer: the other end of the connection.
        forwarded: the header: addresses with commas.
        proxies: networks of ours.
    """
    address = peer
    for hop in reversed(forwarded.split(",")[-_HOPS:]):
        if not _is_in(address, proxies) or not _is_address(hop.strip()):
            break
        address = hop.strip()
    return address


def _is_in(address: str, networks: Sequence[IPNetwork]) -> bool:
    if not _is_address(address):
        return False
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip.version == network.version and ip in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
