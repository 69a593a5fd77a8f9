"""Both adapters on a real Orthanc."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
import trio

from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.units import Endpoint
from tests.components import HOST, Orthanc, free_port, orthanc

from .instances import make
from .pacs_suite import CT, Pacs, PacsSuite, fetch

pytestmark = pytest.mark.orthanc

AET = "P2PACS"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, int]]:
    port = free_port()
    folder: Path = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, modalities={AET: port}) as started:
        yield started, port


async def pacs_at(started: Orthanc, address: str, dicom: Endpoint | None) -> AsyncIterator[Pacs]:
    await trio.to_thread.run_sync(started.clear)

    async def store(instances: Iterable[EncodedInstance]) -> None:
        files = [instance.part10() for instance in instances]
        await trio.to_thread.run_sync(started.load, files)

    async def remove(uid: str) -> None:
        body = f'{{"Level": "Study", "Query": {{"StudyInstanceUID": "{uid}"}}}}'.encode()
        found = await trio.to_thread.run_sync(started.request, "POST", "/tools/find", body)
        name = found.decode().strip('[]" \n')
        await trio.to_thread.run_sync(started.request, "DELETE", f"/studies/{name}")

    async with open_pacs(parse_pacs(address), aet=AET, dicom=dicom, silence=20) as adapter:
        dimse = address.startswith("dimse")
        yield Pacs(adapter, store, remove, rewrites=dimse, numbers=not dimse)


class TestGet(PacsSuite):
    @pytest.fixture
    async def pacs(self, running: tuple[Orthanc, int]) -> AsyncIterator[Pacs]:
        async for pacs in pacs_at(running[0], running[0].dimse, None):
            yield pacs


class TestMove(PacsSuite):
    @pytest.fixture
    async def pacs(self, running: tuple[Orthanc, int]) -> AsyncIterator[Pacs]:
        started, port = running
        address = f"{started.dimse}?retrieve=move"
        async for pacs in pacs_at(started, address, Endpoint(HOST, port)):
            yield pacs


class TestWeb(PacsSuite):
    @pytest.fixture
    async def pacs(self, running: tuple[Orthanc, int]) -> AsyncIterator[Pacs]:
        async for pacs in pacs_at(running[0], running[0].dicomweb, None):
            yield pacs


@pytest.mark.parametrize("way", ["web", "get", "move"])
async def test_a_sop_instance_uid_that_no_dimse_message_can_carry(
    running: tuple[Orthanc, int], way: str
) -> None:
    """Orthanc cuts it off in C-STORE; the data set has all of it."""
    started, port = running
    uid = "1.2." + "9" * 70
    stored = [make(CT, 1, 1, SOPInstanceUID=uid), make(CT, 1, 2)]
    address = {
        "web": started.dicomweb,
        "get": started.dimse,
        "move": f"{started.dimse}?retrieve=move",
    }
    async for pacs in pacs_at(started, address[way], Endpoint(HOST, port)):
        await pacs.store(stored)
        assert set(await fetch(pacs, CT)) == {uid, f"{CT}.1.2"}
        assert set(await fetch(pacs, CT, [uid])) == {uid}
