"""The workstation receives what a PACS sends, and tells by digests what came."""

from pathlib import Path

import pytest

from p2pacs.archive.server import archive
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import P2PacsError
from p2pacs.units import Endpoint
from scripts import phantom
from scripts.loaded import load_folder
from scripts.workstation import AET, workstation


async def test_a_study_is_moved_here(tmp_path: Path) -> None:
    phantom.write(tmp_path / "study", phantom.slices(2))
    study = load_folder(tmp_path / "study")
    async with workstation() as station:
        destinations = {AET: DimseRemote(AET, station.endpoint.host, station.endpoint.port)}
        async with archive(
            tmp_path / "archive", "ARCHIVE", Endpoint("127.0.0.1", 0), destinations
        ) as pacs:
            remote = DimseRemote("ARCHIVE", "127.0.0.1", pacs.port)
            await DimseClient(remote, "MODALITY").store(study.instances())
            assert await station.move(remote, study.uid) == study.digests
            assert await station.move(remote, study.uid) == study.digests


async def test_a_pacs_that_does_not_know_us_is_an_error(tmp_path: Path) -> None:
    async with (
        workstation() as station,
        archive(tmp_path / "archive", "ARCHIVE", Endpoint("127.0.0.1", 0)) as pacs,
    ):
        remote = DimseRemote("ARCHIVE", "127.0.0.1", pacs.port)
        with pytest.raises(P2PacsError, match="destination"):
            await station.move(remote, phantom.study_uid())
