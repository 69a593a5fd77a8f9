"""A real Orthanc as central PACS over DICOM TLS, certificates on both sides: what is asked of it,
what it gives, and what it sends."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.errors import PacsUnreachableError
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, KEY, DicomTls
from p2pacs.settings import DicomTlsSettings
from p2pacs.units import Endpoint
from tests.components import HOST, free_port, orthanc
from tests.conformance.pacs_suite import CT, by_uid, ct

AET = "P2PACS"


@pytest.mark.orthanc
async def test_studies_come_over_tls(tmp_path: Path) -> None:
    def of(name: str, other: str) -> DicomTls:
        files = DicomTlsSettings(authorities=f"../{other}/{FOLDER}/{CERTIFICATE}")
        return DicomTls(tmp_path / name, files, name, lambda: [HOST])

    broker, pacs, stranger = of("broker", "pacs"), of("pacs", "broker"), of("stranger", "pacs")
    for tls in (broker, pacs, stranger):
        tls.server()  # makes its certificate
    dicom = Endpoint(HOST, free_port())
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(tmp_path / "pacs" / FOLDER / CERTIFICATE),
        "DicomTlsPrivateKey": str(tmp_path / "pacs" / FOLDER / KEY),
        "DicomTlsTrustedCertificates": str(tmp_path / "broker" / FOLDER / CERTIFICATE),
        "DicomModalities": {
            AET: {"AET": AET, "Host": HOST, "Port": dicom.port, "UseDicomTls": True}
        },
    }
    sent = ct(3)
    with orthanc(tmp_path / "orthanc", **options) as server:
        await trio.to_thread.run_sync(server.load, [one.part10() for one in sent])
        for way in ("get", "move"):
            address = parse_pacs(
                f"dimse+tls://{server.aet}@{HOST}:{server.dicom_port}?retrieve={way}"
            )
            async with open_pacs(address, aet=AET, dicom=dicom, tls=broker) as adapter:
                await adapter.check()
                async with adapter.retrieve(await adapter.describe(CT)) as stream:
                    assert by_uid([one async for one in stream]).keys() == by_uid(sent).keys()
            async with open_pacs(address, aet=AET, dicom=dicom, tls=stranger) as adapter:
                with pytest.raises(PacsUnreachableError):
                    await adapter.check()
