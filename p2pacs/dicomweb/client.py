"""DICOMweb client: search (QIDO-RS), retrieval (WADO-RS) as stored, and storing (STOW-RS)."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import httpx
import trio

from p2pacs.dataset.instance import EncodedInstance, part10_head
from p2pacs.dataset.json_model import load_answers
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.uids import is_uid
from p2pacs.dicomweb.incoming_part import IncomingPart, RetrievedPart
from p2pacs.dicomweb.multipart import MultipartReader, PartEnd, PartHead, boundary_of
from p2pacs.dicomweb.multipart_writer import closing, part_head, related
from p2pacs.dicomweb.search import MORE, Page, Search, SearchTuning
from p2pacs.errors import (
    DeadlineError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
    StudyNotFoundError,
    UsageError,
)
from p2pacs.limits import MIB
from p2pacs.phrases import Phrase

SILENCE_SECONDS: Final = 60.0
"""How long a PACS may be silent before it counts as hung."""

CONNECT_SECONDS: Final = 10.0

AS_STORED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Without the asterisk a server transcodes to Explicit VR Little Endian (PS3.18 8.7.3.5.2)."""

_PIECE_BYTES: Final = MIB
"""Of a large instance are read and sent in one go."""

_NOWHERE: Final = "2.25.0"
"""A UID that no study has (PS3.5 B.2: a UUID of zeros is none)."""

_MEANINGS: Final = {
    301: "its services are elsewhere: write that address",
    302: "its services are elsewhere, or want another way to sign in: write that address",
    401: "check user and password in its address",
    403: "it does not allow us this: check the rights of the user in its address",
    404: "check the root in `pacs`, and that its DICOMweb services are switched on",
    503: "it is overloaded, or starting",
}


class DicomwebClient:
    """Speaks to one DICOMweb server; an async context manager.

    Args:
        root: its base URL, for instance ``http://pacs:8042/dicom-web``.
        silence: seconds after which a silent server counts as hung.
        tls: how to verify an https server; the system's authorities if None.
        name: what errors call it; host and port unless given.
        folder: on whose disk large instances lie that come; None: in memory.
        tuning: sizes of pages and instances.
        transport: another way to a server than TCP.
    """

    def __init__(
        self,
        root: str,
        *,
        silence: float = SILENCE_SECONDS,
        tls: ssl.SSLContext | None = None,
        name: str = "",
        folder: Path | None = None,
        tuning: SearchTuning = SearchTuning(),  # noqa: B008 - frozen
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.tuning = tuning
        self._folder = folder
        self._http = httpx.AsyncClient(
            base_url=root.rstrip("/"),
            timeout=httpx.Timeout(silence, connect=CONNECT_SECONDS),
            verify=True if tls is None else tls,
            headers={"Accept-Encoding": "identity"},  # images hardly shrink, and nothing inflates
            transport=transport,
            trust_env=False,  # a PACS is never behind the proxy of a user's environment
        )
        host, port = self._http.base_url.host, self._http.base_url.port
        self.name = name or f"{host}:{port or ''}".rstrip(":")

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def probe(self) -> None:
        """Whether anything answers as DICOMweb services do: a search that finds nothing.

        Raises:
            PacsError, DeadlineError: as `studies`.
        """
        page = await self.page(f"/studies?StudyInstanceUID={_NOWHERE}&limit=1")
        if page.failed:
            raise PacsRefusedError(f"{self.name} answers with HTTP status 500: see its log")

    def studies(self, query: Mapping[str, str], fields: Sequence[str] = ()) -> Search:
        """Studies that match.

        Args:
            query: keyword or tag → value to match, as in C-FIND.
            fields: keywords or tags to be told besides the usual ones.

        Raises:
            PacsRefusedError: the server answers with a failure.
            PacsDataError: with something that is not DICOM JSON.
            PacsUnreachableError: no connection, or it ended.
            DeadlineError: the server hangs.
        """
        return Search(self, "/studies", query, fields)

    def series(self, study_uid: str, fields: Sequence[str] = ()) -> Search:
        """The series of a study; raises as `studies`, and `StudyNotFoundError`."""
        return Search(self, f"/studies/{_uid(study_uid)}/series", {}, fields)

    def instances(self, study_uid: str, series_uid: str, fields: Sequence[str] = ()) -> Search:
        """The instances of a series; raises as `series`."""
        path = f"/studies/{_uid(study_uid)}/series/{_uid(series_uid)}/instances"
        return Search(self, path, {}, fields)

    @asynccontextmanager
    async def retrieve(
        self, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
    ) -> AsyncIterator[AsyncIterator[RetrievedPart]]:
        """The instances of a study, a series, or one instance, as stored, as they come.

        A part that is no DICOM file is read as a data set if it can be; else its error comes
        in its place, and the parts behind it follow.

        Raises:
            StudyNotFoundError: HTTP status 404: the server does not know it, or has no such
                services at all (`probe` tells).
            BrokenInstanceError: the answer is not multipart, or is cut off.
            PacsRefusedError, PacsUnreachableError, DeadlineError: as `studies`.
        """
        path = f"/studies/{_uid(study_uid)}"
        if series_uid is not None:
            path += f"/series/{_uid(series_uid)}"
        if instance_uid is not None:
            path += f"/instances/{_uid(instance_uid)}"
        with self._translated():
            async with self._http.stream("GET", path, headers={"Accept": AS_STORED}) as answer:
                self._check(answer, of_study=True)
                yield self._parts(answer)

    async def _parts(self, answer: httpx.Response) -> AsyncIterator[RetrievedPart]:
        reader = MultipartReader(boundary_of(answer.headers.get("Content-Type", "")))
        part = IncomingPart({}, None)
        with self._translated():
            async for data in answer.aiter_bytes():
                for event in reader.feed(data):
                    if isinstance(event, PartHead):
                        part = IncomingPart(event.headers, self._folder)
                    elif isinstance(event, PartEnd):
                        yield await self._instance(part)
                    elif part.take(event):
                        await trio.to_thread.run_sync(part.write)
        reader.finish()

    async def _instance(self, part: IncomingPart) -> RetrievedPart:
        if part.size < self.tuning.big_bytes:
            return part.end()
        return await trio.to_thread.run_sync(part.end)

    async def store(self, instances: Sequence[EncodedInstance | LargeInstance]) -> None:
        """Store instances byte for byte (PS3.18 10.5).

        Raises:
            PacsRefusedError: some were not taken, or none.
            PacsUnreachableError, DeadlineError: as `studies`.
        """
        boundary = secrets.token_hex(16)
        parts = [_part_head(boundary, one) for one in instances]
        end = closing(boundary)
        length = len(end) + sum(
            len(head) + _size(one) for head, one in zip(parts, instances, strict=True)
        )

        async def body() -> AsyncIterator[bytes]:
            for head, one in zip(parts, instances, strict=True):
                yield head
                if isinstance(one, EncodedInstance):
                    yield one.data
                    continue
                for at in range(0, one.size, _PIECE_BYTES):
                    end_of = min(at + _PIECE_BYTES, one.size)
                    yield await trio.to_thread.run_sync(one.read, at, end_of)
            yield end

        headers = {
            "Accept": "application/dicom+json",
            "Content-Type": related("application/dicom", boundary),
            "Content-Length": str(length),
        }
        with self._translated():
            answer = await self._http.post("/studies", content=body(), headers=headers)
        self._check(answer, of_study=False)
        if answer.status_code == httpx.codes.ACCEPTED:
            raise PacsRefusedError(f"{self.name} did not take all that it was given: see its log")

    async def page(self, path: str) -> Page:
        """One answer to a search.

        Args:
            path: below the root, with its query.

        Raises:
            PacsError, DeadlineError: as `studies`.
        """
        accept = {"Accept": "application/dicom+json"}
        with self._translated():
            async with self._http.stream("GET", path, headers=accept) as answer:
                if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    return Page([], failed=True)
                self._check(answer, of_study=path.startswith("/studies/"))
                body = bytearray()
                async for data in answer.aiter_bytes():
                    body += data
                    if len(body) > self.tuning.page_bytes:
                        raise PacsDataError(f"{self.name} answers a search with too much")
        if answer.status_code == httpx.codes.NO_CONTENT or not body:
            return Page([])
        try:
            page = load_answers(body)
        except ValueError as error:
            raise PacsDataError(f"{self.name} answers a search with no DICOM JSON") from error
        warning = answer.headers.get("Warning", "")
        return Page(page, more="299" in warning and MORE.search(warning) is not None)

    def _check(self, answer: httpx.Response, *, of_study: bool) -> None:
        """Args: ``of_study``: a study was named in the path, so 404 may mean that it is gone."""
        if of_study and answer.status_code == httpx.codes.NOT_FOUND:
            raise StudyNotFoundError(f"{self.name} does not know this: is it still in the PACS?")
        if not answer.is_success:
            meaning = _MEANINGS.get(answer.status_code, "see its log")
            raise PacsRefusedError(
                f"{self.name} answers with HTTP status {answer.status_code}: {meaning}"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of httpx as ours; theirs name URLs, which hold UIDs."""
        try:
            yield
        except httpx.TimeoutException:
            why = Phrase("%(pacs)s does not answer: is it hung?", pacs=self.name)
            raise DeadlineError(why) from None
        except httpx.RequestError as error:
            raise PacsUnreachableError(_why(error, self.name)) from None


def _why(error: httpx.RequestError, name: str) -> Phrase:
    """What to check; without the texts of httpx, which may name URLs."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Phrase("the certificate of %(pacs)s is not trusted here", pacs=name)
        if isinstance(cause, ssl.SSLError):
            return Phrase("there is no TLS with %(pacs)s: is it https?", pacs=name)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return Phrase("%(pacs)s cannot be reached: does it run at this address?", pacs=name)
    what = type(error).__name__
    return Phrase("the connection to %(pacs)s broke (%(what)s)", pacs=name, what=what)


def _size(instance: EncodedInstance | LargeInstance) -> int:
    return len(instance.data) if isinstance(instance, EncodedInstance) else instance.size


def _part_head(boundary: str, instance: EncodedInstance | LargeInstance) -> bytes:
    """What stands before the data set of an instance in the body of a STOW-RS request."""
    uids = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    head = part10_head(*uids)
    return part_head(boundary, "application/dicom", size=len(head) + _size(instance)) + head


def _uid(text: str) -> str:
    if not is_uid(text):
        raise UsageError("not a DICOM UID")
    return quote(text, safe="")
