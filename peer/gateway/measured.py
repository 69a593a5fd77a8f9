"""How long workstations and viewers wait: counted around what serves them, which knows nothing
of it."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Set
from typing import Final

from attrs import evolve, field, frozen
from pydicom.dataset import Dataset
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.backend import (
    Backend,
    Ending,
    Retrieval,
    RetrievedItem,
    Urgency,
)
from p2pacs.errors import P2PacsError
from p2pacs.metrics.durations import Durations

DONE: Final = "done"
FAILED: Final = "failed"
ENDINGS: Final = {Ending.OVER: DONE, Ending.INTERRUPTED: "interrupted", Ending.BROKEN: FAILED}

_RESOURCES: Final = (
    ("rendered", r"/(?:rendered|thumbnail)$"),
    ("frames", r"/frames/[^/]*$"),
    ("bulkdata", r"/bulkdata/"),
    ("metadata", r"/metadata$"),
    ("search", r"/dicom-web/(?:studies|series|instances)$|/(?:series|instances)$"),
    ("instances", r"/dicom-web/studies/"),
)
"""Kinds of DICOMweb's resources, by the end of their paths: the first that fits."""


@frozen
class GatewayDurations:
    """What is counted."""

    dimse: Durations = field(factory=Durations)
    """By operation and outcome."""
    dicomweb: Durations = field(factory=Durations)
    """By resource and class of the status (``2xx``)."""


# ---------------------------------------------------------------- DIMSE


class _CountedAnswers(FindAnswers):
    """Answers that are counted as one search, once they end."""

    def __init__(self, answers: FindAnswers, durations: Durations, began: float) -> None:
        super().__init__(self._each(answers))
        self._asked = answers
        self._durations = durations
        self._began = began

    @property
    def ignored(self) -> Set[str]:
        """As the answers say it now."""
        return self._asked.ignored

    def _each(self, answers: FindAnswers) -> Iterator[Dataset]:
        outcome = "interrupted"  # unless it comes to its end
        try:
            yield from answers
            outcome = DONE
        except P2PacsError:
            outcome = FAILED
            raise
        finally:
            self._durations.add(time.monotonic() - self._began, "C-FIND", outcome)


class MeasuredBackend:
    """A `Backend` that counts what another one serves; in any thread."""

    def __init__(self, backend: Backend, durations: Durations) -> None:
        """Count what ``backend`` serves, by operation and outcome."""
        self._backend = backend
        self._durations = durations

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        """See `Backend.find`."""
        began = time.monotonic()
        try:
            answers = self._backend.find(identifier, root, caller, options)
        except P2PacsError:
            self._durations.add(time.monotonic() - began, "C-FIND", FAILED)
            raise
        return _CountedAnswers(answers, self._durations, began)

    def retrieve(
        self,
        identifier: Dataset,
        root: QueryRoot,
        caller: str,
        purpose: str,
        urgency: Urgency,
        *,
        options: SearchOptions = LITERAL,
    ) -> Retrieval:
        """See `Backend.retrieve`."""
        began = time.monotonic()
        operation = purpose.partition(" ")[0]
        try:
            retrieval = self._backend.retrieve(
                identifier, root, caller, purpose, urgency, options=options
            )
        except P2PacsError:
            self._durations.add(time.monotonic() - began, operation, FAILED)
            raise
        sent = _SubOperations(retrieval, self._durations)

        def close(ending: Ending) -> None:
            retrieval.close(ending)
            self._durations.add(time.monotonic() - began, operation, ENDINGS[ending])

        return evolve(retrieval, instances=sent.instances(), arrived=sent.arrived, close=close)

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        """See `Backend.receive`."""
        return self._backend.receive(uids, caller)


class _SubOperations:
    """The C-STORE sub-operations of one retrieval."""

    def __init__(self, retrieval: Retrieval, durations: Durations) -> None:
        self._retrieval = retrieval
        self._durations = durations
        self._given: float | None = None

    def instances(self) -> Iterator[RetrievedItem]:
        """What the retrieval gives; who asks for the next has sent the last, or failed to."""
        instances = self._retrieval.instances
        try:
            for item in instances:
                if isinstance(item, EncodedInstance | LargeInstance):
                    self._given = time.monotonic()
                yield item
                self._over(FAILED)
        finally:
            self._over(FAILED)
            if isinstance(instances, Generator):
                instances.close()

    def arrived(self) -> None:
        """The receiver has the last one."""
        self._over(DONE)
        self._retrieval.arrived()

    def _over(self, outcome: str) -> None:
        if self._given is not None:
            self._durations.add(time.monotonic() - self._given, "C-STORE", outcome)
            self._given = None


# ---------------------------------------------------------------- DICOMweb


def resource_kind(path: str, method: str = "GET") -> str:
    """What a path of DICOMweb names: ``search``, ``instances``, ``metadata``, ``frames``,
    ``rendered``, ``bulkdata`` or ``other``; ``store`` where something is stored."""
    if method == "POST":
        return "store"
    return next((kind for kind, end in _RESOURCES if re.search(end, path)), "other")


class MeasuredDicomweb:
    """An ASGI application whose requests are counted, from the head to the end of the answer."""

    def __init__(self, app: ASGIApp, durations: Durations) -> None:
        """Count what ``app`` answers."""
        self._app = app
        self._durations = durations

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), "none"

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            kind = resource_kind(scope["path"], scope["method"])
            self._durations.add(time.monotonic() - began, kind, status)
