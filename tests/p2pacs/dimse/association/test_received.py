"""Data sets of C-STORE requests while they come."""

from io import BytesIO
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.received import BEGINNING_BYTES, ReceivedDataSet
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.requesting import associate
from p2pacs.errors import BrokenInstanceError, DiskFullError, ForbiddenError
from tests.p2pacs.dimse.backends import HOST, Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, instance

LARGE = instance(size=5 * BEGINNING_BYTES)


@define
class Kept:
    """Keeps what comes, up to a size."""

    most: int = 1 << 30
    uids: InstanceUids | None = None
    told: str = ""
    data: bytearray = field(factory=bytearray)
    is_kept: bool = False
    closed: int = 0

    def receive(self, uids: InstanceUids, told: str) -> IncomingInstance:
        self.uids, self.told = uids, told
        return self

    def write(self, piece: bytes) -> None:
        if len(self.data) + len(piece) > self.most:
            raise DiskFullError("make room")
        self.data += piece

    def keep(self) -> None:
        self.is_kept = True

    def close(self) -> None:
        self.closed += 1


def received(sent: EncodedInstance, kept: Kept, beginning: bytes = b"") -> ReceivedDataSet:
    return ReceivedDataSet(InstanceUids.of(sent), kept.receive, beginning)


@given(st.lists(st.integers(1, len(LARGE.data) - 1)), st.integers(0, 1000))
def test_whatever_the_pieces_the_bytes_are_the_same(cuts: list[int], beginning: int) -> None:
    kept, ends = Kept(), sorted({beginning, *cuts, len(LARGE.data)})
    data_set = received(LARGE, kept, LARGE.data[:beginning])
    at = beginning
    for end in ends:
        if end > at:
            data_set.write(LARGE.data[at:end])
            at = end
    data_set.keep()
    data_set.close()
    assert kept.is_kept
    assert kept.uids == InstanceUids.of(LARGE)
    assert bytes(kept.data) == LARGE.data


def test_little_of_it_is_in_memory() -> None:
    kept = Kept()
    data_set = received(LARGE, kept)
    for at in range(0, len(LARGE.data), 1000):
        data_set.write(LARGE.data[at : at + 1000])
        assert len(data_set.getvalue()) < BEGINNING_BYTES
    assert len(kept.data) > len(LARGE.data) - 1000


def test_it_is_kept_under_the_uids_that_it_names_itself() -> None:
    kept, own = Kept(), f"1.2.{'3' * 70}"
    begin = b"\x08\x00\x18\x00UI" + len(own).to_bytes(2, "little") + own.encode()
    at = LARGE.data.index(b"\x08\x00\x18\x00UI")
    length = 8 + LARGE.data[at + 6]
    sent = evolve(LARGE, data=LARGE.data[:at] + begin + LARGE.data[at + length :])
    data_set = received(evolve(sent, sop_instance_uid=own[:64]), kept)
    data_set.write(sent.data)
    data_set.keep()
    assert kept.uids is not None
    assert (kept.uids.instance, kept.told) == (own, own[:64])


def test_who_may_not_come_is_refused_as_soon_as_its_uids_came() -> None:
    def refuse(_uids: InstanceUids, _told: str) -> IncomingInstance:
        raise ForbiddenError("not here")

    data_set = ReceivedDataSet(InstanceUids.of(LARGE), refuse)
    data_set.write(LARGE.data[:BEGINNING_BYTES])
    assert isinstance(data_set.error, ForbiddenError)
    with pytest.raises(ForbiddenError, match="not here"):
        data_set.keep()


async def test_another_instance_than_the_request_names_is_refused() -> None:
    kept = Kept()
    async with serving(Streaming(kept), stores=True) as server:

        def work() -> Any:
            assoc = _associated(server.port)
            _begin(assoc, evolve(LARGE, sop_instance_uid="1.2.3.4.5"), 200_000)
            _, answer = assoc.dimse.get_msg(block=True)
            assoc.release()
            return answer

        answer = await trio.to_thread.run_sync(work)
    assert (answer.Status, answer.ErrorComment) == (0xA900, "the data set is another SOP Instance")
    assert kept.uids is None


def test_nothing_is_no_instance() -> None:
    with pytest.raises(BrokenInstanceError):
        received(LARGE, Kept()).keep()


def test_what_cannot_be_kept_is_dropped_and_the_rest_taken() -> None:
    kept = Kept(most=2 * BEGINNING_BYTES)
    data_set = received(LARGE, kept)
    for at in range(0, len(LARGE.data), 1000):
        assert data_set.write(LARGE.data[at : at + 1000]) == len(LARGE.data[at : at + 1000])
    assert kept.closed == 1
    assert len(kept.data) <= kept.most
    with pytest.raises(DiskFullError):
        data_set.keep()
    assert not kept.is_kept


def test_what_comes_after_the_end_is_dropped() -> None:
    kept = Kept()
    data_set = received(LARGE, kept)
    data_set.write(LARGE.data[:100_000])
    data_set.close()
    data_set.write(LARGE.data[100_000:])
    assert kept.closed == 1
    assert len(kept.data) == 100_000


class Streaming(Scripted):
    """Keeps what is stored in `Kept`."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        return self.kept.receive(uids, caller)


def _associated(port: int) -> Any:
    return associate(AE("MODALITY"), DimseRemote("GATEWAY", HOST, port), [(CT, [EXPLICIT])])


def _send(assoc: Any, control: bytes, data: bytes) -> None:
    primitive = P_DATA()
    context = assoc.accepted_contexts[0].context_id
    primitive.presentation_data_value_list.append((context, control + data))
    assoc.dul.send_pdu(primitive)


def _command(assoc: Any, sent: EncodedInstance) -> None:
    """The command of a C-STORE request."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID = UID(sent.sop_class_uid)
    request.AffectedSOPInstanceUID = UID(sent.sop_instance_uid)
    request.DataSet = BytesIO(b"some")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = assoc.accepted_contexts[0].context_id
    assoc.dul.send_pdu(next(iter(message.encode_msg(context, 16384))))


def _begin(assoc: Any, sent: EncodedInstance, size: int) -> None:
    """A C-STORE request of which so much comes."""
    _command(assoc, sent)
    for at in range(0, size, 10_000):
        _send(assoc, b"\x00", sent.data[at : min(at + 10_000, size)])


async def test_a_disk_that_is_full_is_said_before_all_came() -> None:
    kept = Kept(most=2 * BEGINNING_BYTES)
    async with serving(Streaming(kept), stores=True) as server:

        def work() -> tuple[Any, Any]:
            assoc = _associated(server.port)
            _begin(assoc, LARGE, 200_000)
            _, early = assoc.dimse.get_msg(block=True)
            _send(assoc, b"\x02", LARGE.data[200_000:])
            kept.most = len(LARGE.data)
            kept.data.clear()
            _begin(assoc, LARGE, 200_000)
            _send(assoc, b"\x02", LARGE.data[200_000:])
            _, after = assoc.dimse.get_msg(block=True)
            assoc.release()
            return early, after

        early, after = await trio.to_thread.run_sync(work)
    assert (early.Status, early.ErrorComment) == (0xA700, "make room")
    assert after.Status == 0x0000
    assert bytes(kept.data) == LARGE.data


async def test_an_abort_in_the_middle_leaves_nothing() -> None:
    kept = Kept()
    async with serving(Streaming(kept), stores=True) as server:

        def work() -> None:
            assoc = _associated(server.port)
            _begin(assoc, LARGE, 200_000)
            assoc.abort()

        await trio.to_thread.run_sync(work)
        with trio.fail_after(20):
            while not kept.closed:
                await trio.sleep(0.01)
    assert not kept.is_kept
