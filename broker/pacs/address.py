"""Where the central PACS is: ``dimse://AET@HOST:PORT`` or ``dicomweb+http(s)://HOST:PORT/ROOT``."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from p2pacs.dimse.remote import DimseRemote
from p2pacs.errors import UsageError

Retrieve = Literal["get", "move"]

_FORMS: Final = "dimse://AET@HOST:PORT or dicomweb+http(s)://HOST:PORT/ROOT"


@frozen
class DimseAddress:
    """A PACS that speaks DIMSE."""

    remote: DimseRemote
    retrieve: Retrieve | None = None
    """By which service alone; None: C-GET, and C-MOVE for what it does not give."""

    def __str__(self) -> str:
        return f"dimse://{self.remote}"


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

    ``dimse://`` takes ``?retrieve=get`` or ``?retrieve=move``; ``dicomweb+`` takes
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
    if parts.scheme == "dimse":
        return _dimse(parts, host, port)
    if parts.scheme in ("dicomweb+http", "dicomweb+https"):
        return _web(parts, host, port)
    raise UsageError(f"unknown scheme {parts.scheme!r} in the PACS address: write {_FORMS}")


def _dimse(parts: SplitResult, host: str, port: int | None) -> DimseAddress:
    if port is None or not parts.username or parts.password is not None or parts.path.strip("/"):
        raise UsageError("the PACS address needs all of dimse://AET@HOST:PORT and no more")
    retrieve: Retrieve | None = None
    if parts.query == "retrieve=get":
        retrieve = "get"
    elif parts.query == "retrieve=move":
        retrieve = "move"
    elif parts.query or parts.fragment:
        raise UsageError("the PACS address takes ?retrieve=get or ?retrieve=move, nothing else")
    return DimseAddress(DimseRemote(unquote(parts.username), host, port), retrieve)


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
