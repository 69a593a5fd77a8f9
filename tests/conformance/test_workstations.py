"""A hospital's peer is a PACS to the workstations that people have: Orthanc over DICOM TLS and over
DICOMweb, DCMTK's tools, dicomweb-client. One real study, the same bytes every way."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import pydicom
import pytest
import trio
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.dicom_tls import KEY
from tests.components import HOST, Orthanc, orthanc, storescp
from tests.conformance.one_study import AET, OneStudy, one_study, read_files

T = TypeVar("T")

pytestmark = [pytest.mark.data, pytest.mark.timeout(360)]


async def in_thread(work: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(work)


def files_of(server: Orthanc) -> list[EncodedInstance]:
    return [EncodedInstance.from_part10(server.file(one)) for one in server.instances()]


def asked(server: Orthanc, path: str, body: object) -> Any:
    return json.loads(server.request("POST", path, json.dumps(body).encode()))


# ---------------------------------------------------------------- Orthanc as remote modality


def _over_tls(folder: Path, study: OneStudy) -> None:
    keys = study.certificates
    modality = {"AET": AET, "Host": HOST, "Port": study.tls.port, "UseDicomTls": True}
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": keys.of("workstation"),
        "DicomTlsPrivateKey": keys.of("workstation", KEY),
        "DicomTlsTrustedCertificates": keys.gateways,
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {AET: modality},
    }
    with orthanc(folder, ports=study.ports, **options) as server:
        asked(server, f"/modalities/{AET}/echo", {})
        one = study.sent[2].sop_instance_uid
        asked(
            server,
            f"/modalities/{AET}/move",
            {
                "Level": "Instance",
                "TargetAet": server.aet,
                "Resources": [
                    {
                        "StudyInstanceUID": study.uid,
                        "SeriesInstanceUID": study.series,
                        "SOPInstanceUID": one,
                    }
                ],
            },
        )
        study.assert_got(files_of(server), [one])
        query = {"Level": "Study", "Query": {"PatientID": "PLASTIC", "StudyDate": ""}}
        found = asked(server, f"/modalities/{AET}/query", query)["ID"]
        said = server.get(f"/queries/{found}/answers/0/content?simplify")
        assert said["StudyInstanceUID"] == study.uid
        series = asked(server, f"/queries/{found}/answers/0/query-series", {"Query": {}})["ID"]
        said = server.get(f"/queries/{series}/answers/0/content?simplify")
        assert said["SeriesInstanceUID"] == study.series
        images = asked(server, f"/queries/{series}/answers/0/query-instances", {"Query": {}})["ID"]
        answers = server.get(f"/queries/{images}/answers?expand&simplify")
        assert {one["SOPInstanceUID"] for one in answers} == set(study.instances)
        asked(server, f"/queries/{found}/retrieve", {"TargetAet": server.aet, "Synchronous": True})
        study.assert_got(files_of(server))


@pytest.mark.orthanc
@pytest.mark.dcmtk
async def test_orthanc_over_dicom_tls(data_dir: Path, tmp_path: Path) -> None:
    async with one_study(data_dir, tmp_path) as study:
        await in_thread(partial(_over_tls, tmp_path / "orthanc", study))
        # Who shows no certificate, or one that is not known here, is told nothing.
        keys = study.certificates
        anonymous = ["+tla", "+cf", keys.gateways]
        for options in (anonymous, keys.dcmtk("stranger")):
            refused = await study.tool("echoscu", study.tls, *options)
            assert refused.returncode != 0, refused.stdout
        welcome = await study.tool("echoscu", study.tls, *keys.dcmtk("workstation"))
        assert welcome.returncode == 0, welcome.stdout


# ---------------------------------------------------------------- Orthanc as DICOMweb client


def _over_dicomweb(folder: Path, study: OneStudy) -> None:
    web = {"Enable": True, "Root": "/dicom-web/", "Servers": {"peer": [f"{study.web}/"]}}
    path = "/dicom-web/servers/peer"
    with orthanc(folder, DicomWeb=web) as server:
        query = {"Uri": "/studies", "Arguments": {"PatientID": "PLASTIC"}}
        (found,) = asked(server, f"{path}/qido", query)
        assert found["0020000D"]["Value"] == study.uid
        query = {"Uri": f"/studies/{study.uid}/instances"}
        listed = {one["00080018"]["Value"] for one in asked(server, f"{path}/qido", query)}
        assert listed == set(study.instances)
        one = {"Study": study.uid, "Series": study.series, "Instance": study.instances[3]}
        for named, got in (
            (one, [study.instances[3]]),
            ({"Study": study.uid, "Series": study.series}, None),
            ({"Study": study.uid}, None),
        ):
            server.clear()
            asked(server, f"{path}/retrieve", {"Resources": [named]})
            study.assert_got(files_of(server), got)
        uri = f"/studies/{study.uid}/metadata"
        said = json.loads(server.request("POST", f"{path}/get", json.dumps({"Uri": uri}).encode()))
        assert {one["00080018"]["Value"][0] for one in said} == set(study.instances)


@pytest.mark.orthanc
async def test_orthanc_as_client_over_dicomweb(data_dir: Path, tmp_path: Path) -> None:
    async with one_study(data_dir, tmp_path) as study:
        await in_thread(partial(_over_dicomweb, tmp_path / "orthanc", study))


# ---------------------------------------------------------------- DCMTK


@pytest.mark.dcmtk
async def test_dcmtks_tools(data_dir: Path, tmp_path: Path) -> None:
    async with one_study(data_dir, tmp_path) as study:
        keys = study.certificates.dcmtk("workstation")
        whole = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}"]
        images = ["-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={study.uid}"]
        images += ["-k", f"SeriesInstanceUID={study.series}", "-k", "SOPInstanceUID"]
        for where, options in ((study.plain, []), (study.tls, keys)):
            said = await study.tool("echoscu", where, *options)
            assert said.returncode == 0, said.stdout
            found = await study.tool("findscu", where, *options, *images)
            assert found.returncode == 0, found.stdout
            assert all(uid in found.stdout for uid in study.instances)
        with storescp(tmp_path / "moved", port=study.storescp) as station:
            moved = await study.tool("movescu", study.plain, *whole, "-aem", station.aet)
            assert moved.returncode == 0, moved.stdout
        study.assert_got(read_files(tmp_path / "moved"))
        (tmp_path / "got").mkdir()
        got = await study.tool("getscu", study.plain, "+B", "-od", str(tmp_path / "got"), *whole)
        assert got.returncode == 0, got.stdout
        study.assert_got(read_files(tmp_path / "got"))


# ---------------------------------------------------------------- dicomweb-client


def as_stored(instance: EncodedInstance) -> Dataset:
    return pydicom.dcmread(DicomBytesIO(instance.part10()))


def same(one: Dataset, other: Dataset) -> bool:
    return written(one) == written(other)


def written(dataset: Dataset) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = False, True
    write_dataset(out, dataset)
    return out.getvalue()


def _by_dicomweb_client(study: OneStudy) -> None:
    client = DICOMwebClient(study.web)
    uid, series, stored = study.uid, study.series, [as_stored(one) for one in study.sent]
    by_uid = {one.SOPInstanceUID: one for one in stored}
    (found,) = client.search_for_studies(search_filters={"PatientID": "PLASTIC"}, fields=["all"])
    assert Dataset.from_json(found).StudyInstanceUID == uid
    for listed in (client.search_for_series(), client.search_for_series(uid)):
        assert [Dataset.from_json(one).SeriesInstanceUID for one in listed] == [series]
    for listed in (
        client.search_for_instances(),
        client.search_for_instances(uid),
        client.search_for_instances(uid, series, limit=100),
    ):
        assert {Dataset.from_json(one).SOPInstanceUID for one in listed} == set(by_uid)
    pages = [client.search_for_instances(uid, series, limit=3, offset=n) for n in (0, 3, 6)]
    assert [len(page) for page in pages] == [3, 3, 2]
    one = stored[4]
    for got in (
        client.retrieve_study(uid),
        list(client.iter_study(uid)),
        client.retrieve_series(uid, series),
        [client.retrieve_instance(uid, series, one.SOPInstanceUID)],
    ):
        assert all(same(each, by_uid[each.SOPInstanceUID]) for each in got)
        assert len(got) in (1, len(stored))
    for told in (
        client.retrieve_study_metadata(uid),
        client.retrieve_series_metadata(uid, series),
        [client.retrieve_instance_metadata(uid, series, one.SOPInstanceUID)],
    ):
        for said in told:
            header = Dataset.from_json(said, bulk_data_uri_handler=lambda *_: b"")
            whole = by_uid[header.SOPInstanceUID]
            assert set(header.keys()) == set(whole.keys())
            other = {e.tag for e in whole if header[e.tag] != e}
            assert other == {Tag("SpecificCharacterSet"), Tag("PixelData")}  # UTF-8, and a link
    frames = client.retrieve_instance_frames(uid, series, one.SOPInstanceUID, [1])
    assert frames == [one.PixelData]
    said = client.retrieve_instance_metadata(uid, series, one.SOPInstanceUID)
    # It leaves the port out of Host (RFC 9110 7.2), so links that it is given lead to port 80.
    link = urlsplit(said["7FE00010"]["BulkDataURI"])
    assert link.port is None
    assert client.retrieve_bulkdata(urljoin(study.web, link.path)) == [one.PixelData]
    picture = client.retrieve_instance_rendered(
        uid, series, one.SOPInstanceUID, media_types=("image/png",)
    )
    assert picture.startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore")  # pydicom comments on values that scanners wrote
async def test_dicomweb_client(data_dir: Path, tmp_path: Path) -> None:
    async with one_study(data_dir, tmp_path) as study:
        await in_thread(partial(_by_dicomweb_client, study))
