"""The embedded PACS: for demos and tests, and for a site that has no PACS to try with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.archive.folder import ArchiveFolder, read
from p2pacs.catalogue.find import find
from p2pacs.catalogue.question import Selection
from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.json_model import text
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.backend import Retrieval, Urgency
from p2pacs.dimse.server.scp import DimseServer
from p2pacs.units import Endpoint


class ArchiveBackend:
    """Answers from an `ArchiveFolder`."""

    def __init__(self, folder: ArchiveFolder) -> None:
        self._folder = folder

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        """C-FIND over all that is stored, whoever asks."""
        del caller
        return find(self._folder.records(), identifier, root, options=options)

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
        """What is stored now; later instances need another retrieval."""
        del caller, purpose, urgency
        held = self._folder.select(Selection.parse(identifier, root, options))
        pairs = {one.pair for one in held}
        uids = [text(one.attributes, "SOPInstanceUID") for one in held]
        return Retrieval(
            total=held.__len__,
            instances=read(held),
            contexts=lambda: pairs,
            uids=lambda: uids,
        )

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        """Keep an instance; it goes to the disk while it comes."""
        del caller
        return self._folder.incoming(uids)


@frozen
class Archive:
    """A running archive."""

    server: DimseServer
    folder: ArchiveFolder

    @property
    def aet(self) -> str:
        """Its AE title."""
        return self.server.aet

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def instances(self) -> int:
        """How many instances it holds."""
        return len(self.folder)


@asynccontextmanager
async def archive(
    folder: Path,
    aet: str,
    endpoint: Endpoint,
    destinations: Mapping[str, DimseRemote] | None = None,
    *,
    allowed_callers: Collection[str] = (),
) -> AsyncIterator[Archive]:
    """A PACS that stores what it is sent in ``folder``, and serves it.

    Args:
        folder: Part 10 files; made if missing. What is in it is served, too.
        aet: its AE title.
        endpoint: where it listens; port 0 takes a free one.
        destinations: AE title → where a C-MOVE to it goes. Looked up at each request.
        allowed_callers: AE titles that may call; empty: all.

    Raises:
        StateError: the endpoint is taken.
    """
    store = await trio.to_thread.run_sync(ArchiveFolder, folder)
    server = DimseServer(
        aet,
        endpoint,
        ArchiveBackend(store),
        {} if destinations is None else destinations,
        allowed_callers=allowed_callers,
        stores=True,
    )
    async with server:
        yield Archive(server, store)


async def run_archive(
    folder: Path, endpoint: Endpoint, aet: str, destinations: Mapping[str, DimseRemote]
) -> None:
    """Run an archive until cancelled.

    Raises:
        StateError: the endpoint is taken.
    """
    async with archive(folder, aet, endpoint, destinations):
        await trio.sleep_forever()
