"""Rates, sizes and network endpoints, as people write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.phrases import Phrase

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
"""A network of addresses, of either family."""

MEASURED: Final = "measured"
"""Instead of the rate of an uplink: find out what it carries."""

_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmg]?)bit(?:/s|ps)?", re.IGNORECASE)
_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SLOWEST: Final = 8000
"""Bits a second of the slowest line: who writes a smaller number without a unit means kbit."""

_FASTEST: Final = 10**15
"""Bits a second that no line has: a longer number is a slip, or fits no database."""

_PORT = re.compile("[0-9]{1,9}")
_SHOWN: Final = 80
"""Characters."""

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def shortened(text: str) -> str:
    """What somebody typed, for a message: quoted, and its first characters alone."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def parse_rate(text: str) -> int:
    """A rate such as ``800kbit``, ``3mbit`` or ``1gbit``, in bits a second (decimal).

    A bare number is bits a second, too, unless it is so small that kbit or mbit must be meant.

    Raises:
        UsageError: not a positive rate with its unit.
    """
    match = _RATE.fullmatch(text.strip())
    rate = float(match["number"]) * _FACTORS[match["unit"].lower()] if match else 0
    bare = text.strip().isascii() and text.strip().isdigit() and len(text) < 20
    if bare and int(text) >= _SLOWEST:
        rate = int(text)
    if not 0.5 <= rate <= _FASTEST:
        raise UsageError(
            Phrase(
                "not a rate: %(typed)s (write it as 800kbit, 3mbit or 1gbit)", typed=shortened(text)
            )
        )
    return round(rate)


def format_rate(rate: float) -> str:
    """Bits a second as ``parse_rate`` reads them, with at most three decimals."""
    for unit in ("g", "m", "k"):
        if rate >= _FACTORS[unit]:
            number = f"{rate / _FACTORS[unit]:.3f}".rstrip("0").rstrip(".")
            return f"{number}{unit}bit"
    return f"{round(rate)}bit"


def format_limit(rate: float | None) -> str:
    """A rate that may not be exceeded, as people read it; None: there is none."""
    return "no limit" if rate is None else format_rate(rate)


def format_bytes(count: float) -> str:
    """A number of bytes for people, in decimal units: ``10.5 MB``."""
    if count < 1000:
        return f"{round(count)} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


@frozen
class ByteCount:
    """A number of bytes, as a value of a phrase."""

    bytes: int

    def __str__(self) -> str:
        return format_bytes(self.bytes)


@frozen(order=True)
class Endpoint:
    """Where something listens: a host name or address and a TCP port (0: any free one)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint in ``HOST:PORT`` or ``[IPV6]:PORT``.

        Raises:
            UsageError: neither form, or a port out of 0 to 65535.
        """
        host, colon, port = text.strip().rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not (colon and _PORT.fullmatch(port) and int(port) <= 65535):
            said = shortened(text)
            raise UsageError(
                Phrase("not an endpoint: %(typed)s (write it as HOST:PORT)", typed=said)
            )
        if bracketed:
            host = host[1:-1]
        if not (_is_ipv6(host) if bracketed else _is_host(host)):
            said = shortened(text)
            raise UsageError(
                Phrase(
                    "not an endpoint: %(typed)s (write it as HOST:PORT or [IPV6]:PORT)", typed=said
                )
            )
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def is_unspecified(self) -> bool:
        """Whether it stands for all addresses of this machine (0.0.0.0 or ::)."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


HTTPS_PORT: Final = 443


@frozen
class HttpsOrigin:
    """Where browsers reach something that a reverse proxy serves by HTTPS (RFC 6454)."""

    host: str
    """In lower case, as browsers say it."""
    port: int = HTTPS_PORT

    @classmethod
    def parse(cls, text: str) -> HttpsOrigin:
        """The origin in ``https://HOST`` or ``https://HOST:PORT``.

        Raises:
            UsageError: anything else, as one with a path.
        """
        scheme, _, where = text.strip().lower().removesuffix("/").partition("://")
        wrong = Phrase(
            "not an address of browsers: %(typed)s (write it as https://HOST or https://HOST:PORT)",
            typed=repr(text),
        )
        if scheme != "https":
            raise UsageError(wrong)
        has_port = ":" in where.rpartition("]")[2]
        try:
            there = Endpoint.parse(where if has_port else f"{where}:{HTTPS_PORT}")
        except UsageError as error:
            raise UsageError(wrong) from error
        return cls(there.host, there.port)

    def __str__(self) -> str:
        where = str(Endpoint(self.host, self.port))
        return f"https://{where.removesuffix(f':{HTTPS_PORT}')}"


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.split("."))
