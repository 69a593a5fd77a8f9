"""Retrieve (WADO-RS): instances as they are stored, and their metadata."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing

from starlette.requests import Request
from starlette.responses import Response

from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.accept import Representation
from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.requests import accept_of, caller_of, resource_of, root_of
from p2pacs.dicomweb.server.search import DICOM_JSON, JSON
from p2pacs.dicomweb.server.streamed import (
    InstanceAnswer,
    MetadataAnswer,
    MultipartAnswer,
    etag,
    offered_files,
)


class RetrieveHandler:
    """Gives the instances of a study, a series, or one instance."""

    def __init__(self, backend: DicomwebBackend) -> None:
        self._backend = backend

    async def __call__(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            P2PacsError: why there is nothing to give, or not as the client accepts it.
        """
        accept = accept_of(request)
        resource = resource_of(request)
        async with AsyncExitStack() as stack:
            opening = self._backend.open(resource, caller_of(request))
            opened = await stack.enter_async_context(opening)
            instances = await stack.enter_async_context(aclosing(opened.instances()))
            first = await anext(instances)
            is_one = resource.instance is not None
            for syntax in opened.transfer_syntaxes:  # all before the first: else it is too late
                chosen = accept.choose(offered_files(syntax, is_one=is_one))
            tag = opened.tag
            if tag is not None and _is_known(request, tag):
                return Response(status_code=304, headers={"ETag": etag(tag)})
            if is_one and not chosen.multipart:
                pieces = await stack.enter_async_context(aclosing(first[0].pieces()))
                begin = await anext(pieces)  # what fails at once has a status of its own
                return InstanceAnswer(
                    opened,
                    stack.pop_all(),
                    tag,
                    instances=instances,
                    outline=first[0].outline,
                    first=begin,
                    others=pieces,
                )
            return MultipartAnswer(
                opened, stack.pop_all(), tag, first=first, others=instances, accept=accept
            )
        raise AssertionError("unreachable")  # pragma: no cover


class MetadataHandler:
    """Gives the metadata of the instances of a study, a series, or one instance as JSON."""

    def __init__(self, backend: DicomwebBackend) -> None:
        self._backend = backend

    async def __call__(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            P2PacsError: why there is nothing to give, or not as the client accepts it.
        """
        offers = [Representation(DICOM_JSON), Representation(JSON)]
        chosen = accept_of(request).choose(offers)
        async with AsyncExitStack() as stack:
            opening = self._backend.look(resource_of(request), caller_of(request))
            opened = await stack.enter_async_context(opening)
            texts = await stack.enter_async_context(aclosing(opened.metadata()))
            first = await anext(texts)
            tag = opened.tag
            if tag is not None and _is_known(request, tag):
                return Response(status_code=304, headers={"ETag": etag(tag)})
            return MetadataAnswer(
                opened,
                stack.pop_all(),
                tag,
                first=first,
                others=texts,
                root=root_of(request),
                media_type=chosen.media_type,
            )
        raise AssertionError("unreachable")  # pragma: no cover


def _is_known(request: Request, tag: str) -> bool:
    """Whether the client has this version already (RFC 9110 13.1.2)."""
    said = [one.replace("W/", "") for one in request.headers.getlist("if-none-match")]
    return ranges.is_same(said, f'"{tag}"')
