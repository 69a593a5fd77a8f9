"""The requests that OHIF 3.13 makes, word for word, and those that others broke on."""

from __future__ import annotations

import json

import httpx
import pytest

from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.server.app import make_dicomweb
from tests.p2pacs.dicomweb.server.catalogue import FRAME_BYTES, INSTANCES, SERIES, STUDY, OneStudy

ROOT = "/dicom-web"
OF_STUDY = f"{ROOT}/studies/{STUDY}"
OF_SERIES = f"{OF_STUDY}/series/{SERIES}"
OF_INSTANCE = f"{OF_SERIES}/instances/{INSTANCES[0].sop_instance_uid}"
PIXELS = INSTANCES[0].data[-FRAME_BYTES:]
EXPLICIT = "1.2.840.10008.1.2.1"


async def asked(path: str, accept: str = "*/*", **headers: str) -> httpx.Response:
    app = make_dicomweb(OneStudy(), allowed=lambda _: True)
    said = {"Accept": accept, **{name.replace("_", "-"): text for name, text in headers.items()}}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.get(path, headers=said)


@pytest.mark.parametrize(
    "query",
    [
        "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030",
        "PatientName=*doe*&limit=101&offset=0&fuzzymatching=true&includefield=00081030,00080060",
        "00100020=*4711*&AccessionNumber=*A1*&StudyDescription=*thorax*&limit=101&offset=0",
        "ModalitiesInStudy=CT%5CMR&StudyDate=20240101-20241231&limit=101&offset=101",
        f"StudyInstanceUID={STUDY}&limit=101&offset=0&includefield=00081030,00080060",
    ],
)
async def test_the_list_of_studies(query: str) -> None:
    answer = await asked(f"{ROOT}/studies?{query}", "application/dicom+json")
    assert answer.status_code == 200
    (study,) = answer.json()
    assert study["0020000D"]["Value"] == [STUDY]
    if "includefield" in query:
        assert "00081030" in study


async def test_series_and_metadata() -> None:
    fields = "00080021,00080031,0008103E,00200011"
    series = (await asked(f"{OF_STUDY}/series?includefield={fields}")).json()
    assert [one["0020000E"]["Value"][0] for one in series] == [SERIES]
    answer = await asked(f"{OF_SERIES}/metadata", "application/dicom+json, application/json")
    assert answer.status_code == 200
    told = json.loads(answer.content)
    assert len(told) == len(INSTANCES)
    # Relative or of the host that was asked: one of another host cannot be had (OHIF#1602).
    assert told[0]["7FE00010"]["BulkDataURI"].startswith(f"http://127.0.0.1{OF_SERIES}/")


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="application/octet-stream"',
        'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80,'
        ' multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related",
    ],
)
async def test_frames(accept: str) -> None:
    answer = await asked(f"{OF_INSTANCE}/frames/1", accept)
    assert answer.status_code == 200
    parser = MultipartParser(boundary_of(answer.headers["content-type"]))
    (part,) = parser.feed(answer.content)
    parser.finish()
    assert part.body() == PIXELS
    assert part.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"


async def test_a_frame_range_by_range_as_progressive_viewers_do() -> None:
    """Ranges count over the whole body; a whole answer has its length and no encoding."""
    accept = 'multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202'
    path = f"{OF_INSTANCE}/frames/1"
    whole = await asked(path, accept, Accept_Encoding="gzip, deflate, br")
    assert whole.status_code == 200
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert "content-encoding" not in whole.headers
    got = b""
    while len(got) < len(whole.content):
        some = await asked(path, accept, Range=f"bytes={len(got)}-{len(got) + 99}")
        assert some.status_code == 206
        got += some.content
    assert got == whole.content
    assert whole.headers["content-type"].startswith('multipart/related; type="image/jphc"')


async def test_thumbnails_and_bulk_data() -> None:
    accept = "image/jpeg, image/gif, image/png"
    for path in (f"{OF_INSTANCE}/thumbnail", f"{OF_INSTANCE}/rendered"):
        answer = await asked(path, accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    document = await asked(
        f"{OF_INSTANCE}/bulkdata/00420011",
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    )
    assert document.status_code == 200
    assert b"Content-Type: application/octet-stream" in document.content  # (OHIF#4118)
