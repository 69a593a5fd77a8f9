"""What the doctor says of real archives: one that refuses, one that has no such root."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from broker.pacs.adapters.trial import dicomweb_checks, dimse_checks
from broker.pacs.address import DimseAddress, WebAddress, parse_pacs
from p2pacs.errors import PacsRefusedError, PacsUnreachableError
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.process.health import Health, HealthCheck
from p2pacs.settings import DicomTlsSettings
from tests.components import HOST, dcmqrscp, orthanc

from .instances import make
from .pacs_suite import CT

AET = "P2PACS"


def _states(checks: Sequence[HealthCheck]) -> dict[str, Health]:
    return {one.name: one.state for one in checks}


async def _dimse(address: str, tmp_path: Path, *, moves: bool = False) -> Sequence[HealthCheck]:
    parsed = parse_pacs(address)
    assert isinstance(parsed, DimseAddress)
    tls = DicomTls(tmp_path, DicomTlsSettings(), AET, lambda: [HOST])
    return await dimse_checks(parsed, AET, tls, moves=moves)


async def _web(address: str) -> Sequence[HealthCheck]:
    parsed = parse_pacs(address)
    assert isinstance(parsed, WebAddress)
    return await dicomweb_checks(parsed)


@pytest.mark.orthanc
async def test_orthanc_by_both_ways(tmp_path: Path) -> None:
    with orthanc(tmp_path / "o") as server:
        checks = await _dimse(server.dimse, tmp_path, moves=True)
        assert [one.name for one in checks[1:]] == [
            "PACS: C-FIND",
            "PACS: C-GET, C-MOVE",
            "PACS: Storage Commitment",
        ]
        assert set(_states(checks).values()) == {Health.GOOD}
        assert checks[3].what == "It offers it, and is asked for it."
        for deaf in (
            await _dimse(server.dimse, tmp_path),
            await _dimse(f"{server.dimse}?commitment=no", tmp_path, moves=True),
        ):
            assert deaf[3].what == "It offers it, and is not asked for it."
        checks = await _web(server.dicomweb)
        assert "Not tried" in checks[1].what
        await trio.to_thread.run_sync(server.load, [make(CT, 1, 1).part10()])
        checks = await _web(server.dicomweb)
        assert _states(checks) == {"PACS": Health.GOOD, "PACS: WADO-RS": Health.GOOD}
        assert CT not in " ".join(f"{one.what}{one.advice}" for one in checks)
        with pytest.raises(PacsRefusedError, match="check the root"):
            await _web(server.dicomweb.replace("/dicom-web", "/elsewhere"))


@pytest.mark.orthanc
async def test_orthanc_that_allows_no_search(tmp_path: Path) -> None:
    with orthanc(tmp_path / "o", DicomAlwaysAllowFind=False) as server:
        states = _states(await _dimse(server.dimse, tmp_path))
    assert states["PACS"] is Health.GOOD
    assert states["PACS: C-FIND"] is Health.BAD


@pytest.mark.dcmtk
async def test_dcmqrscp_that_has_another_title(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path / "q") as pacs:
        with pytest.raises(PacsUnreachableError, match="AE title"):
            await _dimse(f"dimse://OTHER@{HOST}:{pacs.port}", tmp_path)
        checks = await _dimse(f"dimse://{pacs.aet}@{HOST}:{pacs.port}", tmp_path)
        assert set(_states(checks).values()) == {Health.GOOD}
