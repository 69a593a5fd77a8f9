"""The DIMSE adapter on the embedded archive."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.archive.server import archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.units import Endpoint
from tests.components import HOST, free_port

from .pacs_suite import Pacs, PacsSuite

AET = "P2PACS"


@asynccontextmanager
async def pacs_at(folder: Path, option: str, dicom: Endpoint | None) -> AsyncIterator[Pacs]:
    known = {AET: DimseRemote(AET, dicom.host, dicom.port)} if dicom else {}
    async with archive(folder, "ARCHIVE", Endpoint(HOST, 0), known) as running:

        async def store(instances: Iterable[EncodedInstance]) -> None:
            for instance in instances:
                await trio.to_thread.run_sync(running.folder.put, instance)

        address = parse_pacs(f"dimse://ARCHIVE@{HOST}:{running.port}{option}")
        async with open_pacs(address, aet=AET, dicom=dicom, silence=20) as adapter:
            yield Pacs(adapter, store)


class TestGet(PacsSuite):
    @pytest.fixture
    async def pacs(self, tmp_path: Path) -> AsyncIterator[Pacs]:
        async with pacs_at(tmp_path, "", None) as pacs:
            yield pacs


class TestMove(PacsSuite):
    @pytest.fixture
    async def pacs(self, tmp_path: Path) -> AsyncIterator[Pacs]:
        where = Endpoint(HOST, free_port())
        async with pacs_at(tmp_path, "?retrieve=move", where) as pacs:
            yield pacs
