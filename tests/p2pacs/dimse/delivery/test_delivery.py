"""Sub-operations of one request, whoever asked and whoever takes them: no connection at all."""

from collections.abc import Callable

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.backend import Ending, MissingInstances, Urgency
from p2pacs.dimse.delivery.delivery import Delivery, Receiver
from p2pacs.dimse.delivery.suboperations import CANCELLED, SUCCESS, SubOperationCounts
from p2pacs.errors import PacsUnreachableError, TranscodingError
from tests.p2pacs.dimse.backends import Scripted
from tests.p2pacs.dimse.samples import EXPLICIT, IMPLICIT, series

TUNING = DimseTuning(lost_associations=2)
SERIES = list(series(6))


@define
class Reply:
    """Remembers what it was told."""

    caller: str = "WORKSTATION"
    remote: str = "workstation:104"
    cancelled: bool = False
    gone: bool = False
    tally: SubOperationCounts = field(factory=SubOperationCounts)
    finals: list[tuple[int, int | None, str]] = field(factory=list)

    def pending(self, remaining: int) -> None:
        """It goes on."""

    def final(self, status: int, *, remaining: int | None = None, comment: str = "") -> None:
        self.finals.append((status, remaining, comment))


def deliver(source: Scripted, receiver: Receiver, reply: Reply | None = None) -> Reply:
    reply = reply or Reply()
    what = source.retrieve(Dataset(), "STUDY", reply.caller, "move", Urgency.MEDIUM)
    Delivery(reply, what, receiver, TUNING).run()
    return reply


def failing(*numbers: int, error: Exception | None = None) -> Callable[[EncodedInstance], int]:
    """Sends all but these."""
    uids = {SERIES[number].sop_instance_uid for number in numbers}

    def send(instance: EncodedInstance) -> int:
        if instance.sop_instance_uid in uids:
            raise error or PacsUnreachableError("the destination ended the association")
        return SUCCESS

    return send


@given(st.lists(st.sampled_from([SUCCESS, 0xB000, 0xA700, None]), max_size=6))
def test_every_instance_is_counted_once(statuses: list[int | None]) -> None:
    left = list(statuses)
    source = Scripted(SERIES[: len(statuses)])
    tally = deliver(source, Receiver(lambda _: left.pop(0))).tally
    assert tally.completed == statuses.count(SUCCESS)
    assert tally.warnings == statuses.count(0xB000)
    assert tally.failed == statuses.count(0xA700) + statuses.count(None)
    assert source.arrived == tally.completed + tally.warnings
    assert source.ending is Ending.OVER


def test_what_is_not_accepted_fails_with_the_reason() -> None:
    receiver = Receiver(lambda _: None, refusal=lambda pair: f"takes no {pair[1]}")
    reply = deliver(Scripted(SERIES[:2]), receiver)
    assert [comment for *_, comment in reply.finals] == [f"takes no {EXPLICIT}"]


def test_what_cannot_be_had_fails_and_the_rest_comes() -> None:
    missing = MissingInstances("lost on the disk of the PACS", ("1.2.9",), unnamed=1)
    reply = deliver(Scripted([missing, *SERIES[:2]]), Receiver(lambda _: SUCCESS))
    assert (reply.tally.completed, reply.tally.failed) == (2, 2)


def test_one_that_cannot_be_converted_fails_alone() -> None:
    def ready(instance: EncodedInstance) -> EncodedInstance:
        if instance is SERIES[1]:
            raise TranscodingError("odd pixel data")
        return evolve(instance, transfer_syntax_uid=IMPLICIT)

    reply = deliver(Scripted(SERIES[:3]), Receiver(lambda _: SUCCESS, ready=ready))
    assert (reply.tally.completed, reply.tally.failed) == (2, 1)
    assert reply.finals[0][2] == "odd pixel data"
    assert sum(reply.tally.conversions.values()) == 2


def test_an_instance_that_breaks_the_destination_costs_no_other() -> None:
    reply = deliver(Scripted(SERIES), Receiver(failing(1, 3)))
    assert (reply.tally.completed, reply.tally.failed) == (4, 2)


def test_a_destination_that_is_lost_again_and_again_is_given_up() -> None:
    source = Scripted(SERIES)
    reply = deliver(source, Receiver(failing(1, 2)))
    assert (reply.tally.completed, reply.tally.failed) == (1, 5)  # the rest was not tried
    assert source.ending is Ending.BROKEN


def test_a_destination_that_was_never_reached_is_not_tried_again() -> None:
    reply = deliver(Scripted(SERIES), Receiver(failing(0), reached=lambda: False))
    assert (reply.tally.completed, reply.tally.failed) == (0, 6)


def test_a_cancel_says_what_is_left() -> None:
    reply = Reply()

    def send(_: EncodedInstance) -> int:
        reply.cancelled = True
        return SUCCESS

    source = Scripted(SERIES)
    deliver(source, Receiver(send), reply)
    assert reply.finals == [(CANCELLED, 5, "")]
    assert source.ending is Ending.INTERRUPTED


def test_nobody_is_told_who_is_gone() -> None:
    source = Scripted(SERIES)
    reply = deliver(source, Receiver(lambda _: SUCCESS), Reply(gone=True))
    assert reply.finals == []
    assert source.ending is Ending.INTERRUPTED
    assert source.arrived == 0


@pytest.mark.parametrize("text", ["WS (ws.example:104) is busy", "nothing of an address"])
def test_a_comment_says_what_the_receiver_makes_of_a_reason(text: str) -> None:
    receiver = Receiver(
        failing(0, error=PacsUnreachableError(text)),
        reached=lambda: False,
        comment=lambda said: said.replace(" (ws.example:104)", ""),
    )
    (final,) = deliver(Scripted(SERIES[:1]), receiver).finals
    assert final[2] == text.replace(" (ws.example:104)", "")
