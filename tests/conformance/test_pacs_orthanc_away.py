"""A real Orthanc that loses its DICOMweb plugin, wants a password, or answers elsewhere."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from broker.pacs.adapter import PacsAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from broker.pacs.following.catalogue_sync import CatalogueSync
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsRefusedError, StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description
from p2pacs.units import Endpoint
from tests.components import HOST, free_port, orthanc

from .instances import make

pytestmark = pytest.mark.orthanc

STUDY = "1.2.826.0.1.7"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CatalogueIndex]:
    opened = CatalogueIndex(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def sync(pacs: PacsAdapter, index: CatalogueIndex) -> CatalogueSync:
    return CatalogueSync(
        pacs,
        index,
        lambda uid: StudyId.derive(b"secret", uid),
        changed=lambda _until: None,
        restage=lambda _uid, _everything: None,
        today=lambda: date(2024, 2, 1),
        every=60,
    )


async def test_a_plugin_that_is_not_loaded_deletes_no_study(
    tmp_path: Path, index: CatalogueIndex
) -> None:
    ports, folder = (free_port(), free_port()), tmp_path / "orthanc"
    address = parse_pacs(f"dicomweb+http://{HOST}:{ports[1]}/dicom-web")
    async with open_pacs(address, aet="ME", dicom=None, silence=20) as pacs:
        catalogue_sync = sync(pacs, index)
        with orthanc(folder, ports=ports) as running:
            running.load([make(STUDY).part10()])
            await catalogue_sync.look(whole=True)
            assert [uid for uid, _ in index.uids()] == [STUDY]
            described = await pacs.describe(STUDY)
        with orthanc(folder, ports=ports, Plugins=[]):
            for step in (
                pacs.check(),
                catalogue_sync.look(whole=True),
                catalogue_sync.refresh(STUDY),
                taken(pacs, described),
            ):
                with pytest.raises(PacsRefusedError, match="404: check the root in `pacs`"):
                    await step
            assert [uid for uid, _ in index.uids()] == [STUDY]
        with orthanc(folder, ports=ports) as running:
            assert await taken(pacs, described) == [make(STUDY)]
            running.clear()
            with pytest.raises(StudyNotFoundError):
                await taken(pacs, described)
            await catalogue_sync.look(whole=True)
            assert list(index.uids()) == []


async def taken(pacs: PacsAdapter, study: Description) -> list[EncodedInstance]:
    async with pacs.retrieve(study) as stream:
        return [instance async for instance in stream]


async def test_a_mistyped_root_and_a_wrong_password_say_what_to_check(tmp_path: Path) -> None:
    with orthanc(tmp_path, AuthenticationEnabled=True, RegisteredUsers={"me": "right"}) as running:
        where = f"{HOST}:{running.http_port}"
        for address, advice in (
            (f"dicomweb+http://me:right@{where}/dicom-wep", "404: check the root in `pacs`"),
            (f"dicomweb+http://me:wrong@{where}/dicom-web", "401: check user and password"),
            (f"dicomweb+http://{where}/dicom-web", "401: check user and password"),
        ):
            async with open_pacs(parse_pacs(address), aet="ME", dicom=None) as pacs:
                with pytest.raises(PacsRefusedError, match=advice) as caught:
                    await pacs.check()
                assert HOST not in str(caught.value)
        right = parse_pacs(f"dicomweb+http://me:right@{where}/dicom-web")
        async with open_pacs(right, aet="ME", dicom=None) as pacs:
            await pacs.check()


async def test_a_move_destination_that_the_pacs_does_not_know(tmp_path: Path) -> None:
    with orthanc(tmp_path) as running:
        running.load([make(STUDY).part10()])
        address = parse_pacs(f"{running.dimse}?retrieve=move")
        async with open_pacs(address, aet="ME", dicom=Endpoint(HOST, free_port())) as pacs:
            study = await pacs.describe(STUDY)
            with pytest.raises(PacsRefusedError) as caught:
                await taken(pacs, study)
            assert "the central PACS answers C-MOVE" in str(caught.value)
            assert "our AE title as a destination" in str(caught.value)
            assert HOST not in str(caught.value)
