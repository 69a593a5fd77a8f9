from pathlib import Path

import pytest
import trio
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from structlog.testing import capture_logs

from p2pacs import limits
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.errors import BrokenInstanceError, DiskFullError, UsageError
from tests.components import HOST, dcmtk
from tests.odd import ODD_BYTES
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, NO_DATA_SET, instance, study

FIND = UID(contexts.FIND["STUDY"])


async def find(
    port: int, wanted: Dataset | None = None, *, cancel: bool = False
) -> list[tuple[Dataset, Dataset | None]]:
    def work() -> list[tuple[Dataset, Dataset | None]]:
        ae = AE("WORKSTATION")
        ae.add_requested_context(FIND)
        assoc = ae.associate(HOST, port, ae_title="GATEWAY")
        answers = assoc.send_c_find(wanted or study(), FIND, msg_id=3)
        found = [next(answers)]
        if cancel:
            assoc.send_c_cancel(3, query_model=FIND)
        found += answers
        assoc.release()
        return found

    return await trio.to_thread.run_sync(work)


async def test_a_key_that_was_not_matched_is_said() -> None:
    backend = Scripted()
    backend.answers = [study(1)]
    backend.ignored = {"00180060"}
    async with serving(backend) as server:
        answers = await find(server.port)
    assert [status.Status for status, _ in answers] == [0xFF01, 0x0000]


async def test_answers_name_where_to_retrieve() -> None:
    backend = Scripted()
    backend.answers = [study(1), study(2)]
    async with serving(backend) as server:
        answers = await find(server.port)
    assert [status.Status for status, _ in answers] == [0xFF00, 0xFF00, 0x0000]
    assert [found.RetrieveAETitle for _, found in answers if found] == ["GATEWAY"] * 2
    assert backend.asked == [("find", "STUDY", "WORKSTATION")]


@pytest.mark.parametrize("always", [LITERAL, SearchOptions(fuzzy=True)])
async def test_matching_is_negotiated(always: SearchOptions) -> None:
    backend = Scripted()

    def work(port: int, information: bytes | None) -> bytes | None:
        ae = AE("WORKSTATION")
        ae.add_requested_context(FIND)
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = FIND, information or b""
        asked = [item] if information else None
        assoc = ae.associate(HOST, port, ae_title="GATEWAY", ext_neg=asked)
        assert list(assoc.send_c_find(study(), FIND))
        assoc.release()
        return assoc.acceptor.sop_class_extended.get(FIND)

    async with serving(backend, options=always) as server:
        answer = await trio.to_thread.run_sync(work, server.port, b"\1\1\0")
        assert answer == bytes([1, 1, always.fuzzy])
        assert backend.options == SearchOptions(relational=True, combined=True, fuzzy=always.fuzzy)
        assert await trio.to_thread.run_sync(work, server.port, None) is None
        assert backend.options == always


async def test_an_error_becomes_its_status() -> None:
    backend = Scripted()
    backend.error = UsageError("no level")
    async with serving(backend) as server:
        (answer,) = await find(server.port)
    assert (answer[0].Status, answer[0].ErrorComment) == (0xA900, "no level")


async def test_too_many_answers_are_cut_and_it_is_told() -> None:
    backend = Scripted()
    backend.answers = [study(number) for number in range(5)]
    async with serving(backend, tuning=DimseTuning(found=2)) as server:
        answers = await find(server.port)
    assert [status.Status for status, _ in answers] == [0xFF00, 0xFF00, 0xA700]
    assert "narrow" in answers[-1][0].ErrorComment


async def test_cancel_of_a_query() -> None:
    backend = Scripted()
    backend.answers = [study(number) for number in range(limits.FIND_RESULTS)]
    async with serving(backend) as server:
        answers = await find(server.port, cancel=True)
    assert answers[-1][0].Status == 0xFE00


@ODD_BYTES
async def test_an_identifier_that_is_no_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynetdicom.association.encode", lambda *_args: NO_DATA_SET)
    async with serving(Scripted()) as server:
        (answer,) = await find(server.port)
    assert answer[0].Status == 0xA900


async def store(port: int, path: Path) -> Dataset | None:
    """The status of a C-STORE by pynetdicom as it is; None if the class is not accepted."""
    path.write_bytes(instance().part10())

    def work() -> Dataset | None:
        ae = AE("MODALITY")
        ae.add_requested_context(UID(CT), EXPLICIT)
        ae.add_requested_context(FIND)
        assoc = ae.associate(HOST, port, ae_title="GATEWAY")
        accepted = any(context.abstract_syntax == CT for context in assoc.accepted_contexts)
        status = assoc.send_c_store(path) if accepted else None
        assoc.release()
        return status

    return await trio.to_thread.run_sync(work)


async def test_store(tmp_path: Path) -> None:
    backend, path = Scripted(), tmp_path / "one.dcm"
    async with serving(backend, stores=True) as server:
        status = await store(server.port, path)
        assert status is not None
        assert status.Status == 0x0000
        assert backend.stored[0].sop_instance_uid == instance().sop_instance_uid
        backend.error = DiskFullError("make room")
        status = await store(server.port, path)
        assert status is not None
        assert status.Status == 0xA700
        backend.error = BrokenInstanceError("cut off")
        status = await store(server.port, path)
        assert status is not None
        assert (status.Status, status.ErrorComment) == (0xC000, "cut off")


async def test_a_gateway_stores_nothing(tmp_path: Path) -> None:
    async with serving(Scripted()) as server:
        with capture_logs() as logs:
            await find(server.port)
            assert not logs
            for _ in range(2):
                assert await store(server.port, tmp_path / "one.dcm") is None
    (said,) = [one for one in logs if "sending.enabled" in one["event"]]
    assert said["remote"].startswith("MODALITY@127.0.0.1:"), "once, and who it was"


@pytest.mark.dcmtk
async def test_dcmtk_echo_and_find() -> None:
    backend = Scripted()
    backend.answers = [study(1)]
    async with serving(backend) as server:
        address = ["-aec", "GATEWAY", HOST, str(server.port)]
        done = await trio.to_thread.run_sync(lambda: dcmtk("echoscu", *address))
        assert done.returncode == 0, done.stdout
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
        done = await trio.to_thread.run_sync(lambda: dcmtk("findscu", "-S", *keys, *address))
        assert "[1.2.3.1" in done.stdout
        done = await trio.to_thread.run_sync(lambda: dcmtk("findscu", "-P", *keys, *address))
    assert [root for _, root, _ in backend.asked] == ["STUDY", "PATIENT"]
