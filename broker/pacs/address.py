"""Where the central PACS is: ``dimse(+tls)://AET@HOST:PORT`` or ``dicomweb+http(s)://HOST:PORT/ROOT``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from attrs import field, frozen

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import UsageError

Retrieve = Literal["get", "move"]

Commitment = Literal["yes", "no"]

_COMMITMENT: Final[Mapping[str, Commitment]] = {"yes": "yes", "no": "no"}
_RETRIEVE: Final[Mapping[str, Retrieve]] = {"get": "get", "move": "move"}

_FORMS: Final = (
    "dimse://AET@HOST:PORT, dimse+tls://AET@HOST:PORT or dicomweb+http(s)://HOST:PORT/ROOT"
)


@frozen
class DimseAddress:
    """A PACS that speaks DIMSE."""

    remote: DimseRemote
    retrieve: Retrieve | None = None
    """By which service alone; None: C-GET, and C-MOVE for what it does not give."""
    tls: bool = False
    """Whether it listens for TLS, and what it sends comes by TLS, too."""
    commitment: Commitment | None = None
    """Whether it must commit to what is stored in it; None: it is asked where it offers that and
    can report to us, and what it does not report is no reason to wait."""

    def __str__(self) -> str:
        return f"dimse{'+tls' if self.tls else ''}://{self.remote}"


@frozen
class WebAddress:
    """A PACS that speaks DICOMweb."""

    url: str
    """Root of the services, without credentials and without a slash at the end."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User and password for HTTP Basic authentication."""

    def __str__(self) -> str:
        return f"dicomweb+{self.url}"


PacsAddress = DimseAddress | WebAddress


def parse_pacs(text: str) -> PacsAddress:
    """The address of a PACS; its ``str`` names no password.

    ``dimse://`` takes ``?retrieve=get`` or ``?retrieve=move``, and ``?commitment=yes`` or
    ``?commitment=no``, ``dimse+tls://`` also ``?name=``
    with the name in its certificate, where that is not its host; ``dicomweb+`` takes
    ``user:password@`` in front of the host (percent-encoded where needed).

    Raises:
        UsageError: not such an address; the message never repeats it, as it may hold a password.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"the PACS address is not valid: write {_FORMS}") from error
    if host is None:
        raise UsageError(f"the PACS address names no host: write {_FORMS}")
    if parts.scheme in ("dimse", "dimse+tls"):
        return _dimse(parts, host, port)
    if parts.scheme in ("dicomweb+http", "dicomweb+https"):
        return _web(parts, host, port)
    raise UsageError(f"unknown scheme {parts.scheme!r} in the PACS address: write {_FORMS}")


def _dimse(parts: SplitResult, host: str, port: int | None) -> DimseAddress:
    if port is None or not parts.username or parts.password is not None or parts.path.strip("/"):
        raise UsageError("the PACS address needs all of dimse://AET@HOST:PORT and no more")
    tls = parts.scheme == "dimse+tls"
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = asked.pop("name", "") if tls else ""
    try:
        retrieve = _RETRIEVE[asked.pop("retrieve")] if "retrieve" in asked else None
        commitment = _COMMITMENT[asked.pop("commitment")] if "commitment" in asked else None
    except KeyError:
        asked["other"] = ""
        retrieve = commitment = None
    if asked or parts.fragment or (parts.query and not (retrieve or commitment or name)):
        raise UsageError(
            "the PACS address takes ?retrieve=get or ?retrieve=move, &commitment=yes or "
            "&commitment=no, with TLS also &name=, nothing else"
        )
    remote = DimseRemote(unquote(parts.username), host, port, tls_name=name)
    return DimseAddress(remote, retrieve, tls, commitment)


def _web(parts: SplitResult, host: str, port: int | None) -> WebAddress:
    if parts.query or parts.fragment:
        raise UsageError("the PACS address of DICOMweb services ends with their root path")
    where = f"[{host}]" if ":" in host else host
    where += f":{port}" if port is not None else ""
    scheme = parts.scheme.removeprefix("dicomweb+")
    credentials = None
    if parts.username is not None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    return WebAddress(f"{scheme}://{where}{parts.path.rstrip('/')}", credentials)
