from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from pydicom.uid import RLELossless

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.dicomweb.multipart import MultipartParser, boundary_of
from p2pacs.dicomweb.search import SearchTuning
from p2pacs.errors import (
    BrokenInstanceError,
    DeadlineError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
    StudyNotFoundError,
    UsageError,
)
from tests.components import HOST, free_port
from tests.conformance.instances import make, recode
from tests.p2pacs.conftest import Filled
from tests.p2pacs.dimse.association.test_store_request import large
from tests.p2pacs.dimse.samples import instance, series

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def answering(
    handler: Handler,
    tuning: SearchTuning = SearchTuning(),  # noqa: B008
) -> AsyncIterator[DicomwebClient]:
    """A client whose server is a function."""
    transport = httpx.MockTransport(handler)
    root = "http://pacs:8042/dicom-web/"
    async with DicomwebClient(root, tuning=tuning, transport=transport) as client:
        yield client


def multipart(instances: list[EncodedInstance]) -> httpx.Response:
    body = b"".join(b"--xyz\r\n\r\n" + one.part10() + b"\r\n" for one in instances) + b"--xyz--"
    kind = 'multipart/related; type="application/dicom"; boundary=xyz'
    return httpx.Response(200, content=body, headers={"Content-Type": kind})


async def collect(client: DicomwebClient, study: str = "1.2.3") -> list[EncodedInstance]:
    async with client.retrieve(study) as instances:
        return [one async for one in instances]


async def test_it_asks_for_what_is_stored() -> None:
    asked: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return multipart(series(3))

    async with answering(server) as client:
        assert await collect(client) == series(3)
        async with client.retrieve("1.2", "3.4", "5.6") as instances:
            await anext(instances)
    assert "transfer-syntax=*" in asked[0].headers["Accept"]
    assert asked[1].url.path == "/dicom-web/studies/1.2/series/3.4/instances/5.6"


async def test_a_large_instance() -> None:
    big = series(2, size=300_000)
    async with answering(lambda _request: multipart(big), SearchTuning(big_bytes=10)) as client:
        assert await collect(client) == big


def paged(total: int) -> tuple[Handler, list[Any]]:
    asked: list[Any] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        page = [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(total)]
        return httpx.Response(200, json=page[offset : offset + limit])

    return server, asked


@pytest.mark.parametrize("total", [0, 1, 3, 4, 7])
async def test_pages(total: int) -> None:
    server, asked = paged(total)
    async with answering(server, SearchTuning(page=3)) as client:
        found = [study["0020000D"]["Value"][0] async for study in client.studies({})]
    assert found == [f"1.{number}" for number in range(total)]
    assert len(asked) == total // 3 + 1


async def test_a_server_that_does_not_know_paging() -> None:
    everything = [{"00100010": {"vr": "PN"}}] * 5
    answer = httpx.Response(200, json=everything)
    async with answering(lambda _request: answer, SearchTuning(page=3)) as client:
        assert [study async for study in client.studies({})] == everything


async def test_what_is_matched_stays_legible() -> None:
    server, asked = paged(0)
    async with answering(server) as client:
        query = {"PatientName": "DOE^J?N*", "StudyDate": "20240101-", "PatientID": "a b&c"}
        assert [one async for one in client.studies(query, ["ModalitiesInStudy"])] == []
    assert asked[0].query.decode() == (
        "PatientName=DOE^J?N*&StudyDate=20240101-&PatientID=a%20b%26c"
        "&includefield=ModalitiesInStudy&limit=200&offset=0"
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404), StudyNotFoundError),
        (httpx.Response(401), PacsRefusedError),
        (httpx.Response(500, text="1.2.3 is broken"), PacsRefusedError),
        (httpx.Response(200, text="hello"), PacsDataError),
        (httpx.Response(200, json={"a": 1}), PacsDataError),
        (httpx.Response(200, json=["a"]), PacsDataError),
    ],
    ids=range(6),
)
async def test_answers_that_are_errors(answer: httpx.Response, error: type[Exception]) -> None:
    async with answering(lambda _request: answer) as client:
        with pytest.raises(error) as caught:
            [one async for one in client.series("1.2.3")]
        assert "1.2.3" not in str(caught.value)


async def test_a_search_has_bounds() -> None:
    page = json.dumps([{"00100010": {"vr": "PN"}}] * 10)
    answer = httpx.Response(200, text=page)
    async with answering(lambda _request: answer, SearchTuning(page_bytes=100)) as client:
        with pytest.raises(PacsDataError, match="too much"):
            [one async for one in client.studies({})]


@pytest.mark.parametrize(
    ("warning", "more"),
    [
        ('299 pacs:8042: "There are 1 additional results that can be requested"', True),
        ('299 - "The number of results exceeded the maximum: only partial results"', True),
        ('199 - "There are additional results that can be requested"', False),
        ('299 - "Fuzzy matching is not supported: literal matching was performed"', False),
        (None, False),
    ],
)
async def test_a_server_may_warn_that_it_gave_less_than_it_has(
    warning: str | None, more: bool
) -> None:
    """PS3.18 8.3.4.4 and 10.6.3.3: the code, and which of its warnings."""
    headers = {} if warning is None else {"Warning": warning}
    answer = httpx.Response(200, json=[{}], headers=headers)
    async with answering(lambda _request: answer) as client:
        page = await client.page("/studies?limit=1")
    assert page.more is more


async def test_no_content_is_no_answer() -> None:
    async with answering(lambda _request: httpx.Response(204)) as client:
        assert [one async for one in client.instances("1.2", "3.4")] == []


async def test_an_answer_that_is_cut_off() -> None:
    whole = multipart(series(2))
    body, headers = whole.content[:-300], whole.headers
    cut = httpx.Response(200, content=body, headers={"Content-Type": headers["Content-Type"]})
    async with answering(lambda _request: cut) as client, client.retrieve("1.2") as instances:
        assert await anext(instances) == instance(1)
        with pytest.raises(BrokenInstanceError, match="too early"):
            await anext(instances)


async def test_a_part_that_is_not_dicom_is_told_and_the_others_come() -> None:
    typed = b"Content-Type: application/dicom; transfer-syntax=" + RLELossless.encode() + b"\r\n"
    packed = recode(make("1.2.3"), RLELossless)
    parts = [
        (b"", b"hello"),
        (b"", instance(1).data),
        (b"", bytes(128) + b"DICM" + instance(2).data),
        (b"", packed.data),
        (typed, packed.data),
        (b"", instance(4).part10()),
    ]
    body = b"".join(b"--xyz\r\n" + head + b"\r\n" + data + b"\r\n" for head, data in parts)
    headers = {"Content-Type": "multipart/related; boundary=xyz"}
    answer = httpx.Response(200, content=body + b"--xyz--", headers=headers)
    async with answering(lambda _request: answer) as client:
        found = await collect(client)
    usable = [one for one in found if not isinstance(one, BrokenInstanceError)]
    assert usable == [instance(1), instance(2), packed, instance(4)]
    assert [type(one) for one in (found[0], found[3])] == [BrokenInstanceError] * 2


async def test_no_multipart_at_all() -> None:
    async with answering(lambda _request: httpx.Response(200, text="<html>")) as client:
        with pytest.raises(BrokenInstanceError, match="DICOMweb"):
            await collect(client)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx.ReadTimeout("x"), DeadlineError),
        (httpx.ConnectError("x"), PacsUnreachableError),
        (httpx.RemoteProtocolError("x"), PacsUnreachableError),
    ],
    ids=["hung", "off", "strange"],
)
async def test_the_line_fails(raised: Exception, error: type[Exception]) -> None:
    def server(_request: httpx.Request) -> httpx.Response:
        raise raised

    async with answering(server) as client:
        with pytest.raises(error, match="pacs:8042"):
            [one async for one in client.studies({})]
        with pytest.raises(error):
            await collect(client)


@pytest.mark.parametrize("uid", ["", "../../instances", "1.2.3/x", "1" * 129, ".."])
async def test_what_is_no_uid_is_not_sent(uid: str) -> None:
    async with DicomwebClient(f"http://{HOST}:{free_port()}") as client:
        with pytest.raises(UsageError):
            await collect(client, uid)


async def test_nobody_there_and_a_server_that_is_silent() -> None:
    async with DicomwebClient(f"http://{HOST}:{free_port()}") as client:
        with pytest.raises(PacsUnreachableError):
            await collect(client)
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    url = f"http://{HOST}:{listener.socket.getsockname()[1]}"
    async with listener, DicomwebClient(url, silence=0.1) as client:
        with pytest.raises(DeadlineError, match="hung"):
            await collect(client)


@pytest.mark.orthanc
async def test_orthanc_gives_exactly_what_it_stores(filled: Filled) -> None:
    exact = set()
    async with DicomwebClient(filled.orthanc.dicomweb_url) as client:
        studies = [study["0020000D"]["Value"][0] async for study in client.studies({})]
        assert set(studies) >= set(filled.studies)
        for uid in filled.studies:
            for one in await collect(client, uid):
                assert one == filled.stored[one.sop_instance_uid]
                exact.add(one.sop_instance_uid)
        series_uids = [one["0020000E"]["Value"][0] async for one in client.series(uid)]
        found = [one async for one in client.instances(uid, series_uids[0])]
        assert found[0]["00080018"]["Value"][0] in filled.studies[uid]
        with pytest.raises(StudyNotFoundError):
            await collect(client, "1.2.3.4.5")
    assert exact == set(filled.stored)


async def test_it_stores_what_it_is_given_byte_for_byte() -> None:
    given = [instance(1, size=3_000_000), *series(3)[1:]]
    taken: list[EncodedInstance] = []

    def server(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/dicom-web/studies")
        assert int(request.headers["Content-Length"]) == len(request.content)
        parser = MultipartParser(boundary_of(request.headers["Content-Type"]))
        parts = [part.body() for part in parser.feed(request.content)]
        parser.finish()
        taken.extend(map(EncodedInstance.from_part10, parts))
        return httpx.Response(200, json={})

    async with answering(server) as client:
        await client.store([large(given[0]), *given[1:]])
    assert taken == given


@pytest.mark.parametrize("status", [202, 400, 409, 503])
async def test_who_does_not_take_all_has_refused(status: int) -> None:
    async with answering(lambda _request: httpx.Response(status, json={})) as client:
        with pytest.raises(PacsRefusedError):
            await client.store(series(2))
