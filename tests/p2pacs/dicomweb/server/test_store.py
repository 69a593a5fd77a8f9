"""STOW-RS from the request to the backend; a real peer's is tried in tests/peer/ingest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from trio.testing import MockClock

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.store import StoreHandler, StoreTuning
from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import (
    BrokenInstanceError,
    DiskFullError,
    ForbiddenError,
    P2PacsError,
    WrongStudyError,
)
from p2pacs.web.answers import error_handlers, json_answer
from p2pacs.web.large_bodies import BodyPace
from tests.p2pacs.dicomweb.server.catalogue import OneStudy

KIND = 'multipart/related; type="application/dicom"; boundary=line'
URL = "http://10.0.0.1/dicom-web/studies"
TUNING = StoreTuning()
ERRORS: dict[bytes, P2PacsError] = {
    b"broken": BrokenInstanceError("not DICOM"),
    b"full": DiskFullError("no room"),
    b"other": WrongStudyError("another study"),
    b"forbidden": ForbiddenError("not yours"),
}


@define
class Incoming:
    """Keeps what comes, but for some words."""

    backend: Kept
    study: str | None
    data: bytearray = field(factory=bytearray)
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    async def write(self, piece: bytes) -> None:
        self.data += piece
        if self.data == b"full at once":
            raise DiskFullError("no room")

    async def keep(self) -> KeptInstance:
        await trio.sleep(self.backend.seconds)
        data = bytes(self.data)
        if data != b"broken":
            self.sop_class_uid, self.sop_instance_uid = "1.2.1", "1.2.3"
        if data in ERRORS:
            raise ERRORS[data]
        self.backend.kept.append(data)
        return KeptInstance(
            self.study or "1.2", "1.2.2", "1.2.1", "1.2.3", beside=data == b"beside"
        )


@define
class Kept:
    """A `StoreBackend` in memory."""

    kept: list[bytes] = field(factory=list)
    callers: set[str] = field(factory=set)
    seconds: float = 0
    """That each takes."""
    open: int = 0
    most: int = 0
    """Were open at once."""
    begun: int = 0

    @asynccontextmanager
    async def receive(self, caller: str, study: str | None) -> AsyncIterator[Incoming]:
        self.callers.add(caller)
        self.open += 1
        self.most = max(self.most, self.open)
        self.begun += 1
        try:
            yield Incoming(self, study)
        finally:
            self.open -= 1


def body(parts: Iterable[bytes], kind: bytes = b"application/dicom") -> bytes:
    out = b""
    for part in parts:
        out += b"\r\n--line\r\nContent-Type: " + kind + b"\r\n\r\n" + part
    return out + b"\r\n--line--\r\n"


def app(backend: Kept | None, tuning: StoreTuning = TUNING) -> Starlette:
    handler = StoreHandler(backend, tuning)
    routes = [
        Route("/dicom-web/studies", handler.__call__, methods=["POST"]),
        Route("/dicom-web/studies/{study}", handler.__call__, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers=error_handlers(json_answer))


async def post(
    backend: Kept | None,
    content: Any,
    *,
    path: str = "",
    tuning: StoreTuning = TUNING,
    **headers: str,
) -> httpx.Response:
    transport = httpx.ASGITransport(app(backend, tuning), client=("10.0.0.7", 5))
    said = {"Content-Type": KIND} | {name.replace("_", "-"): v for name, v in headers.items()}
    async with httpx.AsyncClient(transport=transport) as http:
        return await http.post(URL + path, content=content, headers=said)


async def test_what_is_stored_is_named_in_the_answer() -> None:
    backend = Kept()
    answer = await post(backend, body([b"one"]))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.json() == {
        "00081190": {"vr": "UR", "Value": [URL + "/1.2"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": ["1.2.1"]},
                    "00081155": {"vr": "UI", "Value": ["1.2.3"]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [URL + "/1.2/series/1.2.2/instances/1.2.3"],
                    },
                }
            ],
        },
    }
    assert (backend.kept, backend.callers) == ([b"one"], {"DICOMweb 10.0.0.7"})


async def test_a_part_that_fails_keeps_no_other_back() -> None:
    backend = Kept()
    answer = await post(backend, body([b"one", b"broken", b"other", b"full at once", b"two"]))
    assert answer.status_code == 202
    told = answer.json()
    assert len(told["00081199"]["Value"]) == 2
    (failed,) = told["00081198"]["Value"]
    assert failed["00081155"] == {"vr": "UI", "Value": ["1.2.3"]}
    assert failed["00081197"] == {"vr": "US", "Value": [0xA900]}
    reasons = [one["00081197"]["Value"][0] for one in told["0008119A"]["Value"]]
    assert sorted(reasons) == [0xA700, 0xC000]
    assert sorted(answer.headers.get_list("warning")) == [
        '299 p2pacs "another study"',
        '299 p2pacs "no room"',
        '299 p2pacs "not DICOM"',
    ]
    assert (sorted(backend.kept), backend.open) == ([b"one", b"two"], 0)


@pytest.mark.parametrize(
    ("part", "status", "reason"),
    [
        (b"broken", 409, 0xC000),
        (b"other", 409, 0xA900),
        (b"full", 503, 0xA700),
        (b"forbidden", 403, 0x0124),
        (b"beside", 409, 0x0111),
    ],
)
async def test_if_nothing_is_stored_the_status_says_so(
    part: bytes, status: int, reason: int
) -> None:
    answer = await post(Kept(), body([part]))
    assert answer.status_code == status
    (failed,) = (one for key in answer.json() for one in answer.json()[key]["Value"])
    assert failed["00081197"]["Value"] == [reason]


async def test_a_study_that_the_path_names() -> None:
    answer = await post(Kept(), body([b"one"]), path="/1.2.99")
    assert answer.json()["00081190"]["Value"] == [URL + "/1.2.99"]
    assert (await post(Kept(), body([b"one"]), path="/x*y")).status_code == 400


@pytest.mark.parametrize(
    "kind",
    [
        "application/dicom",
        'multipart/related; type="application/dicom+json"; boundary=line',
        'multipart/related; type="application/dicom+xml"; boundary=line',
        "multipart/form-data; boundary=line",
        "text/plain",
        "",
    ],
)
async def test_bodies_of_other_kinds(kind: str) -> None:
    backend = Kept()
    answer = await post(backend, body([b"one"]), Content_Type=kind)
    assert answer.status_code == 415
    assert "multipart/related" in answer.json()["message"]
    assert not backend.begun


async def test_parts_of_other_kinds() -> None:
    backend = Kept()
    answer = await post(backend, body([b"{}"], b"application/dicom+json"))
    assert answer.status_code == 415
    mixed = body([b"{}"], b"application/dicom+json")[: -len(b"\r\n--line--\r\n")] + body([b"one"])
    answer = await post(backend, mixed)
    assert answer.status_code == 202
    assert backend.kept == [b"one"]


@pytest.mark.parametrize("kind", ["multipart/related", "multipart/related; boundary=" + "x" * 257])
async def test_a_boundary_must_be_named(kind: str) -> None:
    answer = await post(Kept(), body([b"one"]), Content_Type=kind)
    assert answer.status_code == 400
    assert "boundary" in answer.json()["message"]


@pytest.mark.parametrize("content", [b"", b"nothing", b"--line--", body([b"one"])[:-9]])
async def test_bodies_that_are_none(content: bytes) -> None:
    backend = Kept()
    answer = await post(backend, content)
    assert answer.status_code == 400
    assert (backend.kept, backend.open) == ([], 0)


async def test_what_came_before_a_body_broke_off_is_named() -> None:
    backend = Kept()
    answer = await post(backend, body([b"one", b"two"])[:-9])
    assert answer.status_code == 202
    assert (backend.kept, backend.open) == ([b"one"], 0)
    assert "0008119A" in answer.json()


@given(
    st.lists(st.binary(max_size=300).filter(lambda part: b"\r\n--line" not in part), min_size=1),
    st.integers(1, 60),
)
def test_any_split_stores_the_same(parts: list[bytes], step: int) -> None:
    parts = [part for part in parts if part not in {*ERRORS, b"beside"}] or [b"x"]
    whole = body(parts)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), step):
            yield whole[at : at + step]

    async def run() -> None:
        backend = Kept()
        assert (await post(backend, pieces())).status_code == 200
        assert sorted(backend.kept) == sorted(parts)

    trio.run(run)


@given(st.binary(max_size=400))
def test_whatever_comes_is_answered(content: bytes) -> None:
    async def run() -> None:
        backend = Kept()
        for sent in (content, b"--line\r\n" + content, body([content])):
            answer = await post(backend, sent)
            assert answer.status_code in (200, 202, 400, 409, 415)
        assert backend.open == 0

    trio.run(run)


async def test_some_are_kept_while_others_come(autojump_clock: MockClock) -> None:
    """Each by itself would cost a flush of the disk."""
    began = autojump_clock.current_time()
    backend = Kept(seconds=1)
    answer = await post(backend, body([b"%d" % number for number in range(40)]))
    assert (answer.status_code, len(backend.kept), backend.open) == (200, 40, 0)
    assert backend.most == 8
    assert autojump_clock.current_time() - began < 8


async def test_where_nothing_may_be_stored() -> None:
    answer = await post(None, body([b"one"]))
    assert answer.status_code == 403
    assert "sending.enabled" in answer.json()["message"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://10.0.0.1", 200),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://10.0.0.1:8043", 403),
    ],
)
async def test_a_page_of_another_site_stores_nothing(origin: str, status: int) -> None:
    backend = Kept()
    assert (await post(backend, body([b"one"]), Origin=origin)).status_code == status
    assert backend.begun == (status == 200)


async def test_an_answer_that_the_client_does_not_take() -> None:
    answer = await post(Kept(), body([b"one"]), Accept="application/dicom+xml")
    assert answer.status_code == 406


async def test_bounds_of_a_request() -> None:
    backend = Kept()
    answer = await post(backend, body([b"1", b"2", b"3"]), tuning=StoreTuning(parts=2))
    assert answer.status_code == 202
    assert sorted(backend.kept) == [b"1", b"2"]
    answer = await post(Kept(), body([b"x" * 500]), tuning=StoreTuning(body_bytes=100))
    assert answer.status_code == 413


async def test_how_many_store_at_once() -> None:
    backend, go_on = Kept(), trio.Event()
    tuning = StoreTuning(requests=1)
    handler = app(backend, tuning)
    transport = httpx.ASGITransport(handler)
    headers = {"Content-Type": KIND}

    async def slow() -> AsyncIterator[bytes]:
        yield body([b"one"])[:-5]
        await go_on.wait()
        yield body([b"one"])[-5:]

    async with httpx.AsyncClient(transport=transport) as http, trio.open_nursery() as nursery:

        async def first() -> None:
            assert (await http.post(URL, content=slow(), headers=headers)).status_code == 200

        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        answer = await http.post(URL, content=body([b"two"]), headers=headers)
        assert (answer.status_code, answer.json()["transient"]) == (503, True)
        go_on.set()
    assert backend.kept == [b"one"]


async def test_who_dawdles_is_told_so(autojump_clock: MockClock) -> None:
    del autojump_clock
    backend = Kept()

    async def slow() -> AsyncIterator[bytes]:
        yield body([b"one"])[:-5]
        await trio.sleep(100)
        yield b""

    answer = await post(backend, slow(), tuning=StoreTuning(pace=BodyPace(5, 1000)))
    assert (answer.status_code, backend.open) == (408, 0)


def served(address: str, backend: Kept | None) -> httpx.AsyncClient:
    services = make_dicomweb(
        OneStudy(),
        allowed=lambda client: client == "10.0.0.7",
        store=backend,
        may_store=lambda client: client == "10.0.0.8",
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(services, client=(address, 5)))


async def test_who_may_store_is_said_apart_from_who_may_read() -> None:
    backend = Kept()
    headers = {"Content-Type": KIND}
    large = body([b"x" * 200_000])
    async with served("10.0.0.8", backend) as http:
        assert (await http.post(URL, content=large, headers=headers)).status_code == 200
        assert (await http.get(URL)).status_code == 403
    async with served("10.0.0.7", backend) as http:
        answer = await http.post(URL, content=large, headers=headers)
        assert answer.status_code == 403
        assert "sending.dicomweb_clients" in answer.json()["message"]
        assert (await http.get(URL)).status_code == 200
    assert len(backend.kept) == 1
