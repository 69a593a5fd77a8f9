"""What strangers may try: a clear answer, nothing stored, nothing of what they sent in the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import trio

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.limits import BYTE_RANGES, FRAME_LIST, SEARCH_PARAMETERS
from p2pacs.units import Endpoint
from p2pacs.web.connections import ServingTuning
from p2pacs.web.serving import serve_web
from tests.p2pacs.dicomweb.server.catalogue import INSTANCES, SERIES, STUDY, OneStudy

ROOT = "/dicom-web"
INSTANCE = f"{ROOT}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCES[0].sop_instance_uid}"
FRAME = f"{INSTANCE}/frames/1"
SECRET = "Grün^Zoë 4711"
LIMIT = 60


def in_process(backend: OneStudy | None = None) -> httpx.AsyncClient:
    app = make_dicomweb(backend or OneStudy(), allowed=lambda _: True)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@asynccontextmanager
async def listening(tuning: ServingTuning | None = None) -> AsyncIterator[Endpoint]:
    """The services on a real port."""
    app = make_dicomweb(OneStudy(), allowed=lambda _: True)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
            here = Endpoint("127.0.0.1", 0)
            await serve_web(app, here, stop=stop, tuning=tuning, task_status=task_status)

        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


async def said(where: Endpoint, sent: bytes, *, ends: bool = False) -> bytes:
    """What comes back on a connection of its own until it is closed; ``ends``: and nothing more is
    sent."""
    with trio.fail_after(LIMIT):
        async with await trio.open_tcp_stream(where.host, where.port) as stream:
            answer = b""
            with suppress(trio.BrokenResourceError):  # closed before all of it was taken
                await stream.send_all(sent)
                if ends:
                    await stream.send_eof()
            with suppress(trio.BrokenResourceError):
                async for data in stream:
                    answer += data
            return answer


# ---------------------------------------------------------------- what a request asks for


@pytest.mark.parametrize(
    "accept",
    [
        "image/jls," * 100_000,
        ";" * 1_000_000,
        '"' * 1_000_000,
        "application/dicom; " + "x=y; " * 200_000,
        "*/*;q=0." + "1" * 500_000,
    ],
)
async def test_an_accept_header_of_a_megabyte(accept: str) -> None:
    async with in_process() as http:
        for path in (FRAME, INSTANCE, f"{INSTANCE}/metadata", f"{INSTANCE}/rendered"):
            answer = await http.get(path, headers={"Accept": accept})
            assert answer.status_code == 400
            assert len(answer.content) < 300


async def test_a_header_of_a_megabyte_on_a_real_connection() -> None:
    async with listening() as where:
        head = f"GET {FRAME} HTTP/1.1\r\nHost: {where}\r\nAccept: ".encode()
        answer = await said(where, head + b"image/jls," * 100_000 + b"\r\n\r\n")
        assert answer == b"" or answer.split()[1] in (b"400", b"413", b"431")


@pytest.mark.parametrize(
    "ranges",
    [
        ",".join(["0-"] * 1000),
        ",".join(f"{n}-{n + 5}" for n in range(1000)),
        ",".join(["-1"] * (BYTE_RANGES + 1)),
        ",".join(["0-200"] * 3),
    ],
)
async def test_ranges_that_overlap_a_thousand_times(ranges: str) -> None:
    async with in_process() as http:
        answer = await http.get(FRAME, headers={"Range": f"bytes={ranges}"})
        assert answer.status_code == 416
        assert answer.content == b""


@pytest.mark.parametrize(
    "ranges", ["bytes=" + "9" * 5000 + "-", "bytes=5-1", "bytes=-", "bites=0-1", "bytes=0x1-2", "="]
)
async def test_ranges_that_are_none(ranges: str) -> None:
    async with in_process() as http:
        answer = await http.get(FRAME, headers={"Range": ranges})
        assert answer.status_code in (200, 416)


@pytest.mark.parametrize(
    "path",
    [
        f"{ROOT}/studies/%2e%2e/%2e%2e/etc/passwd",
        f"{ROOT}/studies/..%2f..%2fetc%2fpasswd",
        f"{ROOT}/studies/{STUDY}%00",
        f"{ROOT}/studies/{STUDY}%0d%0aX-Injected:%201",
        f"{ROOT}/studies/{STUDY}/series/*",
        f"{ROOT}/studies/{'1.' * 5000}1",
        f"{INSTANCE}/frames/{'1,' * FRAME_LIST}1",
        f"{INSTANCE}/frames/1e9",
        f"{INSTANCE}/frames/%D9%A1",  # a digit, of another script
        f"{INSTANCE}/bulkdata/../../../../etc/passwd",
        f"{INSTANCE}/bulkdata/" + "00081140/1/" * 500 + "00100010",
        f"{INSTANCE}/rendered?window=nan,inf",
        f"{INSTANCE}/rendered?viewport=99999,99999",
        f"{INSTANCE}/rendered?quality=101",
        f"{ROOT}/studies?limit=99999999999999999999",
        f"{ROOT}/studies?offset=-1",
        f"{ROOT}/studies?" + "&".join(f"{n:08x}=1" for n in range(SEARCH_PARAMETERS + 1)),
        f"{ROOT}/studies?" + "RequestAttributesSequence." * 50 + "StudyID=1",
        f"{ROOT}/studies?PatientName=%ff%fe",
        f"{ROOT}/studies?{SECRET}=1",
    ],
)
async def test_paths_and_queries_that_are_tricks(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = OneStudy()
    async with in_process(backend) as http:
        answer = await http.get(path)
    assert 400 <= answer.status_code < 500
    assert "x-injected" not in answer.headers
    assert "passwd" not in answer.text
    assert SECRET not in answer.text
    assert capsys.readouterr().out == ""
    assert backend.callers == []


async def test_a_name_that_is_a_program_is_a_name() -> None:
    """What it is told is JSON, and no page that a browser would run."""
    async with in_process() as http:
        answer = await http.get(f"{ROOT}/studies", params={"PatientName": "<script>1</script>"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script" not in answer.text


# ---------------------------------------------------------------- bodies


async def test_huge_bodies_are_refused_before_they_are_read(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening() as where:
        for path in (f"{ROOT}/studies", f"{ROOT}/studies/{STUDY}"):
            head = f"POST {path} HTTP/1.1\r\nHost: {where}\r\nContent-Length: 99999999999\r\n\r\n"
            answer = await said(where, head.encode() + SECRET.encode() * 100_000)
            assert answer.split()[1] in (b"403", b"413")
            assert SECRET.encode() not in answer
    assert SECRET not in caplog.text + capsys.readouterr().out


async def test_a_head_that_dawdles_is_not_waited_for() -> None:
    async with listening(ServingTuning(head=0.2)) as where:
        answer = await said(where, f"GET {FRAME} HTTP/1.1\r\nHost:".encode())
        assert not answer.startswith(b"HTTP/1.1 2")


@pytest.mark.parametrize("request_line", [f"POST {ROOT}/studies", f"GET {FRAME}"])
@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_dawdles_is_not_waited_for(request_line: str, length: str) -> None:
    """Nothing here reads one: the answer comes at once, and the connection is not kept."""
    async with listening(ServingTuning(head=60)) as where:
        head = f"{request_line} HTTP/1.1\r\nHost: {where}\r\n{length}\r\n\r\n"
        answer = await said(where, head.encode())
    assert answer.split()[1] == (b"403" if "POST" in request_line else b"200")


async def test_a_page_elsewhere_is_told_nothing() -> None:
    """Nothing of CORS: a browser gives no answer to a script of another origin."""
    async with in_process() as http:
        for method in ("GET", "OPTIONS", "POST"):
            headers = {
                "Origin": "https://evil.example",
                "Access-Control-Request-Method": "GET",
                "Cookie": "session=somebody",
            }
            answer = await http.request(method, f"{ROOT}/studies", headers=headers)
            assert answer.status_code == {"GET": 200, "OPTIONS": 405, "POST": 403}[method]
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert "set-cookie" not in answer.headers
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x01\x00\x00\x00\x00\xcd" + bytes(100),  # an A-ASSOCIATE-RQ
        b"GET \xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
    ],
)
async def test_what_is_no_request(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as where:
        answer = await said(where, sent, ends=True)
        assert answer == b"" or answer.split()[1][:1] == b"4" or b"Connection: close" in answer
        again = f"GET {FRAME} HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n"
        assert (await said(where, again.encode())).startswith(b"HTTP/1.1 200")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
