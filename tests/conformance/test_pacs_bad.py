"""Bad PACS, over both protocols: each has an error of its own, in bounded time."""

import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trio

from broker.pacs.adapter import DateSpan, PacsAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.archive.server import archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.tuning import TUNING, DimseTuning
from p2pacs.errors import (
    BrokenInstanceError,
    DeadlineError,
    P2PacsError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
    StudyNotFoundError,
)
from p2pacs.publish.source import Description, FailedInstance, Retrieved
from p2pacs.units import Endpoint
from tests.components import HOST, free_port

from .instances import make

STUDY = "1.2.826.0.1.7"
PLAIN = Description(STUDY, {}, ())

Step = Callable[[PacsAdapter], Awaitable[object]]


async def check(pacs: PacsAdapter) -> object:
    return await pacs.check()


async def enumerate_(pacs: PacsAdapter) -> object:
    return [study async for study in pacs.studies(DateSpan())]


async def describe(pacs: PacsAdapter) -> object:
    return await pacs.describe(STUDY)


async def retrieve(pacs: PacsAdapter) -> list[Retrieved]:
    taken = []
    async with pacs.retrieve(PLAIN) as stream:
        async for instance in stream:
            taken.append(instance)  # noqa: PERF401
    return taken


STEPS = [check, enumerate_, describe, retrieve]
FORMS = ["dimse://PACS@{host}:{port}", "dicomweb+http://{host}:{port}/rs"]


async def attempt(
    address: str, step: Step, silence: float = 0.5, tuning: DimseTuning = TUNING
) -> P2PacsError:
    """The error that a step ends with."""
    with trio.fail_after(15):
        async with open_pacs(
            parse_pacs(address), aet="ME", dicom=None, silence=silence, tuning=tuning
        ) as pacs:
            with pytest.raises(P2PacsError) as caught:
                await step(pacs)
    assert STUDY not in str(caught.value)
    assert HOST not in str(caught.value)
    assert "the central PACS" in str(caught.value) or isinstance(caught.value, PacsDataError)
    return caught.value


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", STEPS)
async def test_nobody_there(form: str, step: Step) -> None:
    error = await attempt(form.format(host=HOST, port=free_port()), step)
    assert isinstance(error, PacsUnreachableError)
    assert str(error) == "the central PACS cannot be reached: does it run at this address?"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server((HOST, 0), backlog=16) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", STEPS)
async def test_a_pacs_that_hangs(form: str, step: Step, silent: int) -> None:
    hasty = DimseTuning(negotiate=0.3)
    error = await attempt(form.format(host=HOST, port=silent), step, tuning=hasty)
    # An association that is not answered never was; a request was, and then nothing came.
    assert type(error) is (PacsUnreachableError if form.startswith("dimse") else DeadlineError)
    assert error.transient


@pytest.mark.parametrize("step", STEPS)
async def test_a_pacs_that_does_not_know_us(step: Step, tmp_path: Path) -> None:
    async with archive(tmp_path, "PACS", Endpoint(HOST, 0), allowed_callers=["OTHER"]) as pacs:
        error = await attempt(f"dimse://PACS@{HOST}:{pacs.port}", step)
    assert isinstance(error, PacsUnreachableError)
    assert str(error) == "the central PACS does not know our AE title: register it there"


# ---------------------------------------------------------------- DICOMweb alone


@contextmanager
def http(
    status: int = 200,
    kind: str = "application/dicom+json",
    body: bytes = b"[]",
    seen: list[str | None] | None = None,
) -> Iterator[int]:
    """A server that answers everything alike; ``seen`` gets what authorization it was shown."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


RELATED = 'multipart/related; type="application/dicom"; boundary=B'
PART = b"\r\n--B\r\nContent-Type: application/dicom\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "kind", "body", "step", "expected"),
    [
        (401, "text/html", b"who are you?", check, PacsRefusedError),
        (404, "text/html", b"", check, PacsRefusedError),
        (404, "text/html", b"", enumerate_, PacsRefusedError),
        (404, "text/html", b"", describe, PacsRefusedError),
        (302, "text/html", b"", enumerate_, PacsRefusedError),
        (200, "application/dicom+json", b"[" * 100_000, enumerate_, PacsDataError),
        (200, "application/dicom+json", b"\xff\xfe", enumerate_, PacsDataError),
        (500, "text/html", b"sorry", enumerate_, PacsRefusedError),
        (200, "text/html", b"<html>", describe, PacsDataError),
        (200, "application/dicom+json", b'{"a": 1}', describe, PacsDataError),
        (200, "application/dicom+json", b"[]", describe, StudyNotFoundError),
        (204, "application/dicom+json", b"", describe, StudyNotFoundError),
        (404, "text/html", b"", retrieve, PacsRefusedError),
        (200, "text/html", b"<html>", retrieve, PacsDataError),
        (200, RELATED, PART + make(STUDY).part10()[:-99], retrieve, PacsDataError),
    ],
)
async def test_answers_that_are_wrong(
    status: int, kind: str, body: bytes, step: Step, expected: type[P2PacsError]
) -> None:
    with http(status, kind, body) as port:
        error = await attempt(f"dicomweb+http://{HOST}:{port}/rs", step, silence=10)
    assert isinstance(error, expected)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "write that address"),
        (401, "check user and password"),
        (403, "check the rights of the user"),
        (404, "check the root in `pacs`"),
        (418, "see its log"),
        (503, "overloaded"),
    ],
)
async def test_each_refusal_says_what_to_check(status: int, advice: str) -> None:
    with http(status, "text/html", b"no") as port:
        error = await attempt(f"dicomweb+http://{HOST}:{port}/rs", check, silence=10)
    assert isinstance(error, PacsRefusedError)
    assert str(status) in str(error)
    assert advice in str(error)


async def test_no_tls_where_the_address_says_so() -> None:
    with http() as port:
        error = await attempt(f"dicomweb+https://{HOST}:{port}/rs", check, silence=10)
    assert isinstance(error, PacsUnreachableError)
    assert "https" in str(error)


async def test_attributes_of_the_wrong_shape_are_left_out() -> None:
    study = (
        f'{{"0020000D": {{"vr": "UI", "Value": ["{STUDY}"]}}, "00100010": {{"vr": "PN", '
        '"Value": ["text"]}, "00100020": {"vr": 1}, "00081030": {"vr": "LO", "Value": "x"}, '
        '"00080050": {"vr": "SH", "Value": [null, "A1"]}}'
    )
    hostile = '{"0020000D": {"vr": "UI", "Value": ["../../etc"]}}'
    with http(body=f"[{study}, {hostile}]".encode()) as port:
        address = parse_pacs(f"dicomweb+http://{HOST}:{port}/rs")
        async with open_pacs(address, aet="ME", dicom=None) as pacs:
            found: AsyncIterator[object] = pacs.studies(DateSpan())
            first = await anext(found)
    assert first == {
        "0020000D": {"vr": "UI", "Value": [STUDY]},
        "00100010": {"vr": "PN"},
        "00080050": {"vr": "SH", "Value": ["A1"]},
    }


async def test_a_part_that_is_broken_spoils_no_other() -> None:
    whole, other = make(STUDY), make(STUDY, 1, 2)
    body = PART + whole.part10() + PART + b"rubbish" + PART + other.part10() + b"\r\n--B--"
    with http(kind=RELATED, body=body) as port:
        address = parse_pacs(f"dicomweb+http://{HOST}:{port}/rs")
        async with open_pacs(address, aet="ME", dicom=None) as pacs:
            taken = await retrieve(pacs)
    assert [one for one in taken if isinstance(one, EncodedInstance)] == [whole, other]
    (failed,) = [one for one in taken if isinstance(one, FailedInstance)]
    assert isinstance(failed.error, BrokenInstanceError)
    assert failed.uid is None
