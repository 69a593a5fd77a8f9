"""What somebody here sends to a workstation: a server of ours that stores."""

from functools import partial

import pytest

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.delivery.sending import Sending, send_retrieval
from p2pacs.errors import StudyNotFoundError
from tests.components import HOST, free_port
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import series, study

IMPATIENT = DimseTuning(connect=2.0, lost_associations=1)


async def send(source: Scripted, port: int, sending: Sending) -> None:
    what = partial(source.retrieve, study(), "STUDY", sending.caller, "sent", 0)  # type: ignore[arg-type]
    remote = DimseRemote("GATEWAY", HOST, port)
    await send_retrieval(what, remote, sending, "SENDER", tuning=IMPATIENT)


async def test_all_that_is_given_arrives() -> None:
    source, receiver, sending = Scripted(series(3)), Scripted(), Sending("anna", "GATEWAY")
    async with serving(receiver, stores=True) as server:
        await send(source, server.port, sending)
    assert receiver.stored == source.held
    assert (sending.status, sending.comment) == (0x0000, "")
    assert (sending.tally.completed, sending.remaining, sending.total) == (3, 0, 3)
    assert source.arrived == 3
    assert source.asked == [("sent", "STUDY", "anna")]


async def test_what_was_cancelled_before_it_began_sends_nothing() -> None:
    source, receiver, sending = Scripted(series(3)), Scripted(), Sending("anna", "GATEWAY")
    sending.cancelled = True
    async with serving(receiver, stores=True) as server:
        await send(source, server.port, sending)
    assert receiver.stored == []
    assert sending.status == 0xFE00
    assert source.closed.is_set()


async def test_a_receiver_that_is_not_there_fails_all_and_is_named() -> None:
    source, sending = Scripted(series(2)), Sending("anna", "GATEWAY")
    await send(source, free_port(), sending)
    assert (sending.tally.failed, sending.tally.completed) == (2, 0)
    assert sending.status == 0xA702
    assert "GATEWAY" in sending.comment
    assert sending.total == 2


async def test_what_cannot_be_opened_is_raised() -> None:
    source, sending = Scripted(), Sending("anna", "GATEWAY")
    source.error = StudyNotFoundError("there is no such study")
    with pytest.raises(StudyNotFoundError):
        await send(source, free_port(), sending)
    assert sending.status is None
