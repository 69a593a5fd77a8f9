from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import PresentationContext

from p2pacs.dimse.backend import Urgency
from p2pacs.dimse.delivery import suboperations as sub
from p2pacs.dimse.server.reply import RetrieveReply
from p2pacs.errors import UsageError

MODEL = "1.2.840.10008.5.1.4.1.2.2.2"
ODD_NUMBER = b"\x28\x00\x10\x00US\x03\x00abc"
"""Rows, in three bytes."""
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


class FakeAssociation:
    """Stands, takes messages, and can end."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, int]] = []
        self.is_established = True
        self.is_requestor = False
        self.requestor = SimpleNamespace(
            ae_title="WORKSTATION     ",
            address_info=SimpleNamespace(address="10.0.0.7", port=11112),
        )
        self.dul = SimpleNamespace(peek_next_pdu=lambda: None, is_alive=lambda: True)
        self.dimse = SimpleNamespace(
            cancel_req={}, send_msg=lambda message, context: self.sent.append((message, context))
        )


def reply(
    kind: type = C_MOVE, syntax: str = ImplicitVRLittleEndian, **asked: object
) -> tuple[RetrieveReply, FakeAssociation]:
    request = kind()
    request.MessageID, request.AffectedSOPClassUID = 7, MODEL
    for name, value in asked.items():
        setattr(request, name, value)
    context = PresentationContext()
    context.context_id, context.abstract_syntax, context.transfer_syntax = 3, MODEL, [syntax]
    assoc: Any = FakeAssociation()
    return RetrieveReply(assoc, request, context), assoc


@pytest.mark.parametrize("kind", [C_MOVE, C_GET])
def test_progress_is_told_in_counts(kind: type) -> None:
    one, assoc = reply(kind)
    one.tally.completed, one.tally.warnings = 3, 1
    one.tally.fail("why", "1.2.3")
    one.pending(5)
    ((said, context),) = assoc.sent
    assert isinstance(said, kind)
    assert context == 3
    assert (said.Status, said.MessageIDBeingRespondedTo) == (sub.PENDING, 7)
    assert said.AffectedSOPClassUID == MODEL
    assert said.NumberOfRemainingSuboperations == 5
    assert said.NumberOfCompletedSuboperations == 3
    assert said.NumberOfFailedSuboperations == 1
    assert said.NumberOfWarningSuboperations == 1
    assert said.Identifier is None


def test_counts_that_sixteen_bits_do_not_hold_are_the_most_that_they_do() -> None:
    one, assoc = reply()
    one.tally.completed = 70_000
    one.pending(70_000)
    said, _ = assoc.sent[0]
    most = sub.us(70_000)
    assert said.NumberOfCompletedSuboperations == said.NumberOfRemainingSuboperations == most
    assert most <= 0xFFFF


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_last_one_lists_what_failed(syntax: Any) -> None:
    one, assoc = reply(syntax=syntax)
    one.tally.fail("why", "1.2.3", "1.2.4")
    one.final(0xB000, comment="2 were not sent")
    said, _ = assoc.sent[0]
    assert (said.Status, said.ErrorComment) == (0xB000, "2 were not sent")
    assert said.NumberOfRemainingSuboperations is None, "only where it was cancelled"
    listed = decode(said.Identifier, syntax.is_implicit_VR, syntax.is_little_endian)
    assert list(listed.FailedSOPInstanceUIDList) == ["1.2.3", "1.2.4"]


def test_where_nothing_failed_nothing_is_listed() -> None:
    one, assoc = reply()
    one.final(0x0000)
    said, _ = assoc.sent[0]
    assert said.Identifier is None
    assert said.ErrorComment is None


def test_a_cancelled_one_says_what_was_not_begun() -> None:
    one, assoc = reply()
    assert not one.cancelled
    assoc.dimse.cancel_req[8] = object()
    assert not one.cancelled, "that is another request"
    assoc.dimse.cancel_req[7] = object()
    assert one.cancelled
    one.final(sub.CANCELLED, remaining=0)
    assert assoc.sent[0][0].NumberOfRemainingSuboperations == 0


def test_to_an_association_that_has_ended_nothing_is_said() -> None:
    one, assoc = reply()
    for end in ("is_established", "alive", "ending"):
        one, assoc = reply()
        if end == "is_established":
            assoc.is_established = False
        elif end == "alive":
            assoc.dul.is_alive = lambda: False
        else:
            assoc.dul.peek_next_pdu = object
        assert one.gone
        one.pending(1)
        one.final(0x0000)
        assert assoc.sent == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_asked_for_is_read_in_its_syntax(syntax: Any) -> None:
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", "1.2.3"
    raw = encode(asked, syntax.is_implicit_VR, syntax.is_little_endian)
    assert raw is not None
    one, _ = reply(syntax=syntax, Identifier=BytesIO(raw))
    assert one.identifier().StudyInstanceUID == "1.2.3"


def test_a_request_that_names_nothing_is_refused() -> None:
    one, _ = reply()
    with pytest.raises(UsageError, match="no identifier"):
        one.identifier()
    broken, _ = reply(syntax=ExplicitVRLittleEndian, Identifier=BytesIO(ODD_NUMBER))
    with pytest.raises(UsageError, match="not a DICOM data set"):
        broken.identifier()


@pytest.mark.parametrize(("priority", "urgency"), [(1, Urgency.of(1)), (0, Urgency.of(0))])
def test_who_asks_and_how_urgently(priority: int, urgency: Urgency) -> None:
    one, _ = reply(Priority=priority)
    assert one.urgency is urgency
    assert (one.caller, one.model) == ("WORKSTATION", MODEL)
    assert "10.0.0.7" in one.remote
