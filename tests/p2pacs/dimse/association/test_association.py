"""What of pynetdicom's inside we rely on, end to end: a change there must show here."""

import inspect

import pytest
from pynetdicom import AE, acse, association, dimse, dul, fsm, service_class, transport

from p2pacs.dimse.association.association import Association

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


def test_an_association_has_our_message_queue() -> None:
    assoc = Association(AE("SCU"), "requestor")
    assert type(assoc.dimse).get_msg is not dimse.DIMSEServiceProvider.get_msg
    assert assoc.services == {}
