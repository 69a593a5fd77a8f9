"""Against the embedded PACS and one that answers what it is told; conformance/test_doctor.py has
Orthanc."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import pytest
from attrs import evolve

from broker.pacs.adapters.trial import dicomweb_checks, dimse_checks
from broker.pacs.address import DimseAddress, WebAddress
from p2pacs.archive.server import archive
from p2pacs.dataset.vocabulary import tag
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import PacsRefusedError, PacsUnreachableError
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.process.health import Health
from p2pacs.settings import DicomTlsSettings
from p2pacs.units import Endpoint
from tests.components import HOST

UID = "1.2.826.0.1.77"


def _tls(folder: Path) -> DicomTls:
    return DicomTls(folder, DicomTlsSettings(), "ME", lambda: ["here"])


async def test_a_pacs_that_does_all(tmp_path: Path) -> None:
    async with archive(tmp_path / "pacs", "PACS", Endpoint(HOST, 0)) as pacs:
        address = DimseAddress(DimseRemote("PACS", HOST, pacs.port))
        checks = await dimse_checks(address, "ME", _tls(tmp_path), moves=True)
        assert [one.state for one in checks] == [Health.GOOD] * 4
        assert checks[2].what == "It accepts C-GET, and C-MOVE."
        checks = await dimse_checks(address, "ME", _tls(tmp_path), moves=False)
        assert checks[2].what == "It accepts C-GET."
        assert "not offered" in checks[3].what
        must = evolve(address, commitment="yes")
        checks = await dimse_checks(must, "ME", _tls(tmp_path), moves=True)
        assert checks[3].state is Health.BAD
        assert "commitment=no" in checks[3].advice


async def test_a_pacs_that_is_away_or_does_not_know_us(tmp_path: Path) -> None:
    with socket() as silent:  # bound, so that nobody else listens there
        silent.bind((HOST, 0))
        away = DimseAddress(DimseRemote("PACS", HOST, silent.getsockname()[1]))
        with pytest.raises(PacsUnreachableError, match="does it run at this address"):
            await dimse_checks(away, "ME", _tls(tmp_path), moves=True)
    known = archive(tmp_path / "pacs", "PACS", Endpoint(HOST, 0), allowed_callers=["OTHER"])
    async with known as pacs:
        address = DimseAddress(DimseRemote("PACS", HOST, pacs.port))
        with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
            await dimse_checks(address, "ME", _tls(tmp_path), moves=True)


def _entity(**uids: str) -> dict[str, Any]:
    return {tag(keyword): {"vr": "UI", "Value": [uid]} for keyword, uid in uids.items()}


@contextmanager
def _web(answers: dict[str, list[dict[str, Any]]]) -> Iterator[WebAddress]:
    """Searches are answered by the last part of their path; nothing is given to who retrieves."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0].rpartition("/")[2])
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/dicom+json")
            self.end_headers()
            self.wfile.write(json.dumps(found or []).encode())

        def log_message(self, *_said: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield WebAddress(f"http://{HOST}:{server.server_port}/rs")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_nothing_is_there_to_retrieve() -> None:
    with _web({"studies": []}) as address:
        search, retrieval = await dicomweb_checks(address)
    assert (search.state, retrieval.state) == (Health.GOOD, Health.GOOD)
    assert "Not tried" in retrieval.what


async def test_what_is_listed_and_not_given() -> None:
    answers = {
        "studies": [_entity(StudyInstanceUID=UID)],
        "series": [_entity(SeriesInstanceUID=f"{UID}.1")],
        "instances": [_entity(SOPInstanceUID=f"{UID}.1.1")],
    }
    with _web(answers) as address:
        search, retrieval = await dicomweb_checks(address)
    assert (search.state, retrieval.state) == (Health.GOOD, Health.BAD)
    assert "WADO-RS" in retrieval.advice
    assert UID not in f"{search.what}{retrieval.what}{retrieval.advice}"


async def test_a_study_that_is_listed_without_its_uid_is_not_asked_for() -> None:
    with _web({"studies": [_entity(PatientID="x")]}) as address:
        _, retrieval = await dicomweb_checks(address)
    assert "Not tried" in retrieval.what


async def test_no_services_there() -> None:
    with _web({}) as address, pytest.raises(PacsRefusedError, match="404"):
        await dicomweb_checks(address)
