"""What of pynetdicom's inside we rely on, end to end: a change there must show here."""

import inspect

import pytest
import trio
from pynetdicom import AE, acse, association, dimse, dul, fsm, service_class, transport

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association import contexts
from p2pacs.dimse.association.association import (
    Association,
    accepted_pairs,
    associate,
    remote_of,
    send_instance,
)
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.upper_layer import BoundedSocket
from p2pacs.errors import PacsUnreachableError
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import Scripted, client, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, JPEG_2000, MR, instance

NAMES = {
    association.Association: "_accepted_cx _sent_release _is_paused _reactor_checkpoint "
    "_sent_abort _kill _server _serve_request _c_store_scp abort kill run_reactor",
    transport.AssociationSocket: "ready recv send _shutdown_socket connect _is_connected",
    dul.DULServiceProvider: "_run_loop_delay to_provider_queue to_user_queue event_queue "
    "_idle_timer artim_timer state_machine run_reactor stop_dul peek_next_pdu kill_dul",
    dimse.DIMSEServiceProvider: "msg_queue cancel_req receive_primitive get_msg send_msg",
    transport.RequestHandler: "_create_association",
    service_class.StorageServiceClass: "SCP",
    acse.ACSE: "negotiate_association",
}


@pytest.mark.parametrize("kind", NAMES, ids=lambda kind: kind.__name__)
def test_private_names_that_we_use_exist(kind: type) -> None:
    source = inspect.getsource(kind)
    assert [name for name in NAMES[kind].split() if name not in source] == []


def test_an_ended_association_still_wakes_who_waits_for_a_message() -> None:
    for action in (fsm.AA_2, fsm.AA_3, fsm.AA_4):
        assert "msg_queue.put((None, None))" in inspect.getsource(action)


@pytest.mark.parametrize("size", [0, 1, 2, 999_999, 1_000_000])
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_2000])
async def test_bytes_leave_as_they_are(size: int, syntax: str) -> None:
    sent = EncodedInstance(CT, "1.2.3.4", syntax, b"\x08\x00" + bytes(range(256)) * 4 + bytes(size))
    backend = Scripted()
    async with serving(backend, stores=True) as server:
        assert await client(server.port).store([sent]) == 1
    assert backend.stored == [sent]


async def test_what_cannot_be_sent_gives_no_status() -> None:
    async with serving(Scripted(), stores=True) as server:
        remote = DimseRemote("GATEWAY", HOST, server.port)

        def work() -> list[int | None]:
            assoc = associate(AE("SCU"), remote, [(CT, [EXPLICIT])])
            assert accepted_pairs(assoc) == {(CT, EXPLICIT)}
            assert isinstance(assoc.dul.socket, BoundedSocket)
            assert remote_of(assoc) == f"GATEWAY@{HOST}:{server.port}"
            unsendable = [
                instance(syntax=JPEG_2000),
                instance(sop_class=MR),
                EncodedInstance(CT, "1.2", EXPLICIT, b""),
            ]
            statuses = [send_instance(assoc, one, 1) for one in unsendable]
            statuses.append(send_instance(assoc, instance(), 2))
            assoc.release()
            with pytest.raises(PacsUnreachableError):
                send_instance(assoc, instance(), 3)
            return statuses

        assert await trio.to_thread.run_sync(work) == [None, None, None, 0x0000]


async def test_nobody_there_and_rejected() -> None:
    with pytest.raises(PacsUnreachableError, match="cannot be reached"):
        await client(free_port()).echo()
    async with serving(Scripted(), allowed_callers=["KNOWN"]) as server:
        with pytest.raises(PacsUnreachableError, match="does not know our AE title"):
            await client(server.port).echo()
        await client(server.port, aet="KNOWN").echo()


async def test_a_host_without_an_address() -> None:
    remote = DimseRemote("PACS", "no-such-host.invalid", 104)
    with pytest.raises(PacsUnreachableError, match="resolve"):
        await trio.to_thread.run_sync(
            lambda: associate(AE("SCU"), remote, [(contexts.VERIFICATION, [EXPLICIT])])
        )


def test_an_association_has_our_message_queue() -> None:
    assoc = Association(AE("SCU"), "requestor")
    assert type(assoc.dimse).get_msg is not dimse.DIMSEServiceProvider.get_msg
    assert assoc.services == {}
