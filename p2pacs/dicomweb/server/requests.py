"""What every handler reads of a request: who asks, and by which address."""

from __future__ import annotations

from starlette.requests import Request

from p2pacs.dicomweb.server.backend import Resource

ROOT = "/dicom-web"
"""Where the services are, as with Orthanc."""


def caller_of(request: Request) -> str:
    """Who asks, as the audit names it."""
    return f"DICOMweb {request.client.host if request.client else 'unknown'}"


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
