"""What every handler reads of a request: who asks, for what, by which address, as what."""

from __future__ import annotations

from starlette.requests import Request

from p2pacs.dicomweb.accept import Accept
from p2pacs.dicomweb.server.backend import Resource

ROOT = "/dicom-web"
"""Where the services are, as with Orthanc."""


CALLER = "dicomweb_caller"
"""In the state of a request: who asks, where something before these services knows a name."""


def caller_of(request: Request) -> str:
    """Who asks, as the audit names it: by name, or by address."""
    named: str = getattr(request.state, CALLER, "")
    return named or f"DICOMweb {request.client.host if request.client else 'unknown'}"


def root_of(request: Request) -> str:
    """The URL of the services, by the address that the client used."""
    return f"{request.url.scheme}://{request.url.netloc}{ROOT}"


def resource_of(request: Request) -> Resource:
    """The study, series or instance that the path names.

    Raises:
        UsageError: by something that is no UID.
    """
    path = request.path_params
    return Resource.of(path["study"], path.get("series"), path.get("instance"))


def accept_of(request: Request) -> Accept:
    """What a request accepts.

    Raises:
        UsageError: it names more than anybody does.
    """
    parameters = request.query_params.getlist("accept")
    return Accept.parse(request.headers.getlist("accept"), parameters)
