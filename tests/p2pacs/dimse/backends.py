"""Backends for servers under test, and servers with them."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from pydicom.dataset import Dataset

from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.backend import (
    Ending,
    MissingInstances,
    Retrieval,
    RetrievedItem,
    Urgency,
    Waiting,
)
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.dimse.server.scp import DimseServer
from p2pacs.errors import P2PacsError, StudyNotFoundError
from p2pacs.units import Endpoint
from tests.components import HOST


@define
class IncomingInMemory:
    """One that is gathered in memory, and then handed on."""

    _uids: InstanceUids
    _store: Callable[[EncodedInstance], None]
    """Keeps it, or raises `P2PacsError`."""
    _data: io.BytesIO = field(factory=io.BytesIO, init=False, repr=False)

    def write(self, piece: bytes) -> None:
        """See `IncomingInstance.write`."""
        self._data.write(piece)

    def keep(self) -> None:
        """See `IncomingInstance.keep`."""
        self._store(self._uids.with_data(self._data.getvalue()))

    def close(self) -> None:
        """See `IncomingInstance.close`."""
        self._data = io.BytesIO()


class Scripted:
    """Answers as a test says, and remembers what it was asked."""

    def __init__(self, instances: Iterable[EncodedInstance | MissingInstances] = ()) -> None:
        self.held = list(instances)
        self.answers: list[Dataset] = []
        self.ignored: set[str] = set()
        self.options: SearchOptions | None = None
        self.error: P2PacsError | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.urgency: Urgency | None = None
        self.stored: list[EncodedInstance] = []
        self.arrived = 0
        self.ending: Ending | None = None
        self.closed = threading.Event()
        self.waiting = threading.Event()
        self.released = threading.Event()
        self.pause_after: int | None = None
        """Wait for ``released`` (or ``closed``) after so many instances."""
        self.fail_after: int | None = None

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        self.options = options
        self.asked.append(("find", root, caller))
        if self.error is not None:
            raise self.error
        return FindAnswers(iter(self.answers), self.ignored)

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
        self.options = options
        self.asked.append((purpose, root, caller))
        self.urgency = urgency
        if self.error is not None and self.fail_after is None:
            raise self.error
        return Retrieval(
            total=self._total,
            instances=self._instances(),
            uids=self._uids,
            arrived=self._arrived,
            close=self._close,
        )

    def _uids(self) -> list[str]:
        return [one.sop_instance_uid for one in self.held if isinstance(one, EncodedInstance)]

    def _arrived(self) -> None:
        self.arrived += 1

    def _close(self, ending: Ending) -> None:
        self.ending = ending
        self.closed.set()

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        return IncomingInMemory(uids, self._keep)

    def _keep(self, instance: EncodedInstance) -> None:
        if self.error is not None:
            raise self.error
        self.stored.append(instance)

    def _total(self) -> int:
        growing = self.pause_after is not None and not self.released.is_set()
        return self.pause_after if growing and self.pause_after else len(self.held)

    def _instances(self) -> Iterator[RetrievedItem]:
        for number, instance in enumerate(self.held):
            if number == self.fail_after:
                raise self.error or StudyNotFoundError("gone")
            if number == self.pause_after:
                self.waiting.set()
                while not self.released.wait(0.01):
                    yield Waiting.NOTHING_YET
            yield instance


@asynccontextmanager
async def serving(
    backend: Any, destinations: dict[str, DimseRemote] | None = None, **options: Any
) -> AsyncIterator[DimseServer]:
    """A server with a backend on a free port."""
    server = DimseServer("GATEWAY", Endpoint(HOST, 0), backend, destinations or {}, **options)
    async with server:
        yield server


def client(
    port: int, aet: str = "WORKSTATION", called: str = "GATEWAY", **options: Any
) -> DimseClient:
    """A client of a server on loopback."""
    return DimseClient(DimseRemote(called, HOST, port), aet, **options)
