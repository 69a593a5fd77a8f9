"""C-MOVE and C-GET as a workstation sees them: pynetdicom as it is, and DCMTK."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.backend import Ending, MissingInstances, Urgency
from p2pacs.dimse.server.receiver import StorageReceiver, storage_receiver
from p2pacs.errors import DiskFullError, NoSourceError, StudyNotFoundError
from p2pacs.units import Endpoint
from tests.components import HOST, dcmtk, free_port, storescp
from tests.odd import ODD_BYTES
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_LOSSLESS,
    MR,
    NO_DATA_SET,
    instance,
    series,
    study,
)
from tests.waiting import eventually

Answer = tuple[Dataset, Dataset | None]
MOVE, GET = UID(contexts.MOVE["STUDY"]), UID(contexts.GET["STUDY"])


async def ask(
    port: int,
    operation: Callable[[Association], list[Answer]],
    *,
    handlers: list[evt.EventHandlerType] | None = None,
) -> list[Answer]:
    """Run an operation of a plain pynetdicom client."""

    def work() -> list[Answer]:
        ae = AE("WORKSTATION")
        ae.add_requested_context(MOVE)
        ae.add_requested_context(UID(contexts.MOVE["PATIENT"]))
        assoc = ae.associate(HOST, port, ae_title="GATEWAY", evt_handlers=handlers or [])
        assert assoc.is_established
        try:
            return operation(assoc)
        finally:
            assoc.release()

    return await trio.to_thread.run_sync(work)


def move(
    to: str, wanted: Dataset | None = None, urgency: Urgency = Urgency.MEDIUM
) -> Callable[[Association], list[Answer]]:
    return lambda assoc: list(assoc.send_c_move(wanted or study(), to, MOVE, priority=urgency))


def counts(status: Dataset) -> tuple[int, int, int, int]:
    return (
        status.Status,
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


async def test_counts_and_originator(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    take = StorageReceiver.take

    def note(self: StorageReceiver, event: evt.Event) -> int:
        request: Any = event.request
        seen.append((request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID))
        return take(self, event)

    monkeypatch.setattr(StorageReceiver, "take", note)
    backend, port = Scripted(series(3)), free_port()
    async with (
        serving(
            backend, {"US": DimseRemote("US", HOST, port)}, tuning=DimseTuning(report=0)
        ) as server,
        storage_receiver("US", Endpoint(HOST, port)) as receiver,
    ):
        inbox = Inbox()
        receiver._inboxes[1] = inbox
        answers = await ask(server.port, move("US"))
        assert [await anext(inbox) for _ in range(3)] == backend.held
        await eventually(backend.closed.is_set)
    pending = [status for status, _ in answers[:-1]]
    assert [status.NumberOfRemainingSuboperations for status in pending] == [2, 1, 0]
    assert counts(answers[-1][0]) == (0x0000, 3, 0, 0)
    assert backend.asked == [("C-MOVE to US", "STUDY", "WORKSTATION")]
    assert (backend.arrived, backend.ending) == (3, Ending.OVER)
    assert seen == [("WORKSTATION", 1)] * 3


@pytest.mark.parametrize("urgency", list(Urgency))
async def test_the_backend_is_told_how_urgent_it_is(urgency: Urgency) -> None:
    backend = Scripted()
    async with serving(backend, {"US": DimseRemote("US", HOST, free_port())}) as server:
        await ask(server.port, move("US", urgency=urgency))
    assert backend.urgency is urgency


async def test_unknown_destination() -> None:
    backend = Scripted(series(1))
    async with serving(backend) as server:
        (answer,) = await ask(server.port, move("NOWHERE"))
    assert answer[0].Status == 0xA801
    assert answer[0].ErrorComment == "unknown move destination"
    assert backend.asked == []


async def test_a_destination_that_is_off() -> None:
    backend = Scripted(series(3))
    destinations = {"OFF": DimseRemote("OFF", HOST, free_port())}
    async with serving(backend, destinations) as server:
        answers = await ask(server.port, move("OFF"))
        await eventually(backend.closed.is_set)
    status, failed = answers[-1]
    assert counts(status) == (0xA702, 0, 3, 0)
    assert (backend.arrived, backend.ending) == (0, Ending.BROKEN)
    assert status.ErrorComment == "OFF cannot be reached: does it run at this address?"
    assert failed is not None
    assert list(failed.FailedSOPInstanceUIDList) == [one.sop_instance_uid for one in series(3)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StudyNotFoundError("nobody has this study"), 0xA900),
        (NoSourceError("no member that has it is there"), 0xA702),
        (DiskFullError("make room"), 0xA702),
    ],
)
async def test_errors_of_the_backend_at_once(error: StudyNotFoundError, status: int) -> None:
    backend = Scripted()
    backend.error = error
    destinations = {"US": DimseRemote("US", HOST, free_port())}
    async with serving(backend, destinations) as server:
        (answer,) = await ask(server.port, move("US"))
    assert (answer[0].Status, answer[0].ErrorComment) == (status, str(error))


@pytest.mark.dcmtk
async def test_an_error_in_the_middle_counts_the_rest_as_failed(tmp_path: Path) -> None:
    backend = Scripted(series(5))
    backend.fail_after, backend.error = 2, NoSourceError("the last holder went away")
    with storescp(tmp_path) as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, move("WS"))
    status, failed = answers[-1]
    assert counts(status) == (0xA702, 2, 3, 0)
    assert status.ErrorComment == "the last holder went away"
    assert failed is not None
    assert list(failed.FailedSOPInstanceUIDList) == [one.sop_instance_uid for one in series(5)[2:]]


@pytest.mark.dcmtk
async def test_what_the_destination_does_not_accept_fails_and_is_named(tmp_path: Path) -> None:
    backend = Scripted([instance(1), instance(2, syntax=JPEG_2000), instance(3, sop_class=MR)])
    with storescp(tmp_path) as workstation, structlog.testing.capture_logs() as logs:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, move("WS"))
        assert len(workstation.files()) == 2
    status, failed = answers[-1]
    assert counts(status) == (0xB000, 2, 1, 0)
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == "1.2.3.1.1.2"
    assert status.ErrorComment == "JPEG2000Lossless not accepted: CTImageStorage"
    warned = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warned[0]["transfer_syntax"] == "JPEG 2000 Image Compression (Lossless Only)"
    assert "1.2.3.1" not in repr(logs)


@pytest.mark.dcmtk
async def test_a_workstation_that_accepts_no_syntax_is_not_called_unreachable(
    tmp_path: Path,
) -> None:
    """It is there and accepts associations: it is told what it does not take."""
    backend = Scripted([instance(number, syntax=JPEG_2000) for number in (1, 2, 3)])
    with storescp(tmp_path) as workstation, structlog.testing.capture_logs() as logs:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, move("WS"))
    status, failed = answers[-1]
    assert counts(status) == (0xA702, 0, 3, 0)
    assert status.ErrorComment == "JPEG2000Lossless not accepted: CTImageStorage"
    assert failed is not None
    assert list(failed.FailedSOPInstanceUIDList) == [f"1.2.3.1.1.{n}" for n in (1, 2, 3)]
    (warned,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warned["sop_class"] == "CT Image Storage"
    assert warned["transfer_syntax"] == "JPEG 2000 Image Compression (Lossless Only)"


@pytest.mark.dcmtk
async def test_a_study_that_is_still_arriving_is_sent_as_it_comes(tmp_path: Path) -> None:
    backend = Scripted(series(5))
    backend.pause_after = 2
    alive = []

    def operation(assoc: Association) -> list[Answer]:
        answers = []
        for answer in assoc.send_c_move(study(), "WS", MOVE):
            answers.append(answer)
            # What was said before it waited may be read only now.
            if backend.waiting.is_set() and counts(answer[0])[1:] == (2, 0, 0):
                alive.append(answer[0])
                if len(alive) == 3:  # it waits, and says so
                    backend.released.set()
        return answers

    with storescp(tmp_path) as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations, tuning=DimseTuning(keep_alive=0.05)) as server:
            answers = await ask(server.port, operation)
        assert len(workstation.files()) == 5
    assert alive[1].NumberOfRemainingSuboperations == 0  # the total was not known yet
    assert counts(answers[-1][0]) == (0x0000, 5, 0, 0)


@pytest.mark.dcmtk
async def test_cancel(tmp_path: Path) -> None:
    backend = Scripted(series(5))
    backend.pause_after = 2

    def operation(assoc: Association) -> list[Answer]:
        answers = []
        for answer in assoc.send_c_move(study(), "WS", MOVE, msg_id=7):
            answers.append(answer)
            if len(answers) == 1:
                assoc.send_c_cancel(7, query_model=MOVE)
        return answers

    with storescp(tmp_path) as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, operation)
            await eventually(backend.closed.is_set)
    assert answers[-1][0].Status == 0xFE00
    assert (backend.arrived, backend.ending) == (2, Ending.INTERRUPTED)


async def test_an_abort_stops_the_retrieval() -> None:
    backend = Scripted(series(5))
    backend.pause_after = 0

    def operation(assoc: Association) -> list[Answer]:
        assoc.send_c_move(study(), "US", MOVE)
        backend.waiting.wait()
        assoc.abort()
        return []

    destinations = {"US": DimseRemote("US", HOST, free_port())}
    async with serving(backend, destinations) as server:
        await ask(server.port, operation)
        with trio.fail_after(60):
            await trio.to_thread.run_sync(backend.closed.wait)
    assert backend.ending is Ending.INTERRUPTED


@pytest.mark.dcmtk
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_an_instance_that_breaks_the_workstation_fails_alone(
    tmp_path: Path, place: int
) -> None:
    """storescp ends the association at native pixel data of an odd length, also at the first."""
    whole = series(2)
    pixels = struct.pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", 5) + b"12345"
    odd = EncodedInstance(CT, "1.2.3.1.1.9", EXPLICIT, instance(9).data + pixels)
    backend = Scripted([*whole[:place], odd, *whole[place:]])
    with storescp(tmp_path) as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, move("WS"))
        assert len(workstation.files()) == 2
    assert counts(answers[-1][0]) == (0xB000, 2, 1, 0)
    assert "ended the association" in answers[-1][0].ErrorComment


@pytest.mark.dcmtk
async def test_what_cannot_be_had_is_a_failed_sub_operation(tmp_path: Path) -> None:
    """The rest comes all the same; never a success when something was left out."""
    missing = MissingInstances("the PACS lists it and does not send it", ("1.2.3.1.1.9",), 2)
    backend = Scripted([instance(1), missing, instance(2)])
    with storescp(tmp_path) as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
        async with serving(backend, destinations) as server:
            answers = await ask(server.port, move("WS"))
        assert len(workstation.files()) == 2
    status, failed = answers[-1]
    assert counts(status) == (0xB000, 2, 3, 0)
    assert status.ErrorComment == "the PACS lists it and does not send it"
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == "1.2.3.1.1.9"


async def test_if_nothing_can_be_had_it_is_a_failure() -> None:
    backend = Scripted([MissingInstances("nothing of it can be read", unnamed=2)])
    async with serving(backend, {"US": DimseRemote("US", HOST, free_port())}) as server:
        answers = await ask(server.port, move("US"))
    assert counts(answers[-1][0]) == (0xA702, 0, 2, 0)


async def test_nothing_to_send_is_a_success() -> None:
    destinations = {"US": DimseRemote("US", HOST, free_port())}
    async with serving(Scripted(), destinations) as server:
        (answer,) = await ask(server.port, move("US"))
    assert counts(answer[0]) == (0x0000, 0, 0, 0)


@ODD_BYTES
async def test_an_identifier_that_is_no_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Scripted(series(1))
    destinations = {"US": DimseRemote("US", HOST, free_port())}
    monkeypatch.setattr("pynetdicom.association.encode", lambda *_args: NO_DATA_SET)
    async with serving(backend, destinations) as server:
        (answer,) = await ask(server.port, move("US"))
    assert answer[0].Status == 0xA900
    assert backend.asked == []


@pytest.mark.dcmtk
class TestDcmtk:
    """DCMTK's own clients."""

    async def run(self, tool: str, *arguments: str) -> str:
        done = await trio.to_thread.run_sync(lambda: dcmtk(tool, *arguments))
        assert done.returncode == 0, done.stdout
        return done.stdout

    def keys(self, wanted: Dataset) -> list[str]:
        return [part for e in wanted for part in ("-k", f"{e.keyword}={e.value}")]

    async def test_movescu(self, tmp_path: Path) -> None:
        backend = Scripted([*series(4, size=70_001), instance(9, syntax=JPEG_2000)])
        with storescp(tmp_path, "+xa") as workstation:
            destinations = {"WS": DimseRemote("WS", HOST, workstation.port)}
            async with serving(backend, destinations) as server:
                address = ["-aec", "GATEWAY", HOST, str(server.port)]
                await self.run("movescu", "-S", "-aem", "WS", *self.keys(study()), *address)
            files = [path.read_bytes() for path in workstation.files()]
        received = [EncodedInstance.from_part10(file) for file in files]
        assert sorted(received, key=repr) == sorted(backend.held, key=repr)

    async def test_getscu(self, tmp_path: Path) -> None:
        backend = Scripted(series(4, size=70_001))
        async with serving(backend) as server:
            address = ["-aec", "GATEWAY", HOST, str(server.port)]
            keys = self.keys(study())
            await self.run("getscu", "-S", "+B", "-od", str(tmp_path), *keys, *address)
        files = sorted(path for path in tmp_path.iterdir())
        received = [EncodedInstance.from_part10(path.read_bytes()) for path in files]
        assert sorted(received, key=repr) == sorted(backend.held, key=repr)

    @pytest.mark.parametrize(("option", "syntax"), [("+xs", JPEG_LOSSLESS), ("+xv", JPEG_2000)])
    async def test_getscu_gets_the_syntax_that_it_asks_for(
        self, tmp_path: Path, option: str, syntax: str
    ) -> None:
        """Its one context of a class offers several: the first of them is what it wants, also
        after others were sent instances in another one."""
        explicit = instance(9, study=2)
        wanted = [instance(number, syntax=syntax) for number in range(1, 7)]
        backend = Scripted([explicit])
        (tmp_path / "other").mkdir()
        (tmp_path / "got").mkdir()
        async with serving(backend) as server:
            address = ["-aec", "GATEWAY", HOST, str(server.port)]
            keys = self.keys(study())
            await self.run("getscu", "-S", "+B", "-od", str(tmp_path / "other"), *keys, *address)
            backend.held = [*wanted]
            got = tmp_path / "got"
            await self.run("getscu", "-S", "+B", option, "-od", str(got), *keys, *address)
        files = [EncodedInstance.from_part10(path.read_bytes()) for path in got.iterdir()]
        assert sorted(files, key=repr) == sorted(wanted, key=repr)
        assert len(list((tmp_path / "other").iterdir())) == 1

    async def test_getscu_is_told_what_it_would_have_to_offer_first(self, tmp_path: Path) -> None:
        backend = Scripted([instance(1, syntax=JPEG_LOSSLESS)])
        async with serving(backend) as server:
            address = ["-aec", "GATEWAY", HOST, str(server.port)]
            call = ["getscu", "-d", "-S", "+B", "-od", str(tmp_path), *self.keys(study()), *address]
            said = (await trio.to_thread.run_sync(lambda: dcmtk(call[0], *call[1:]))).stdout
        assert list(tmp_path.iterdir()) == []
        assert "0xa702" in said.lower()
        assert "JPEGLosslessSV1 not accepted: CTImageStorage" in said

    async def test_getscu_is_told_what_it_offers_but_not_first(self, tmp_path: Path) -> None:
        held = [instance(number, syntax=IMPLICIT) for number in (1, 2)]
        call = ["getscu", "-d", "-S", "+B", "-od", str(tmp_path), *self.keys(study())]
        with structlog.testing.capture_logs() as logs:
            async with serving(Scripted(held)) as server:
                address = ["-aec", "GATEWAY", HOST, str(server.port)]
                run = partial(dcmtk, *call, *address)
                said = (await trio.to_thread.run_sync(run)).stdout
                await eventually(lambda: any(log["event"] == "retrieval over" for log in logs))
        assert list(tmp_path.iterdir()) == []
        why = "stored as ImplicitVRLittleEndian: offer it first, or use C-MOVE"
        assert why in said
        over = [log for log in logs if log["event"] == "retrieval over"]
        assert [log["why"] for log in over] == [f"{why} (2)"]


async def test_a_client_that_offers_a_class_in_several_contexts_gets_them_all() -> None:
    """Each context has the same choice: together they cover all that it offers."""
    offered = [EXPLICIT, JPEG_2000, JPEG_LOSSLESS]
    backend = Scripted([instance(n, syntax=one) for n, one in enumerate(offered, 1)])
    got: list[str] = []

    def take(event: evt.Event) -> int:
        got.append(str(event.context.transfer_syntax))
        return 0x0000

    def work() -> int:
        ae = AE("WORKSTATION")
        asked = [build_context(GET), *(build_context(CT, offered) for _ in offered)]
        assoc = ae.associate(
            HOST,
            port,
            contexts=asked,
            ext_neg=[build_role(CT, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
        answers = list(assoc.send_c_get(study(), GET))
        assoc.release()
        return int(answers[-1][0].Status)

    async with serving(backend) as server:
        port = server.port
        assert await trio.to_thread.run_sync(work) == 0x0000
    assert got == offered
