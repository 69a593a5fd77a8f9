from typing import Any

from attrs import define, field

from p2pacs.dimse.backend import Ending
from p2pacs.study.study_index import InstanceEntry, LeftOut
from peer.gateway.studies.delivery import StudyDelivery
from peer.retrieval.audit import ReadOutcome
from peer.retrieval.instances.live_index import Known
from tests.p2pacs.study import samples


def known(number: int, sha256: bytes = b"") -> Known:
    uid = f"1.2.{number}"
    entry = InstanceEntry(samples.CT, uid, "1.2", samples.EXPLICIT, sha256, 1, (), b"{}")
    return Known(number, entry, (), 1, ())


@define
class Fetch:
    settled: bool = False
    left_out: LeftOut = field(factory=LeftOut)
    known: list[Known] = field(factory=list)


@define
class Cursor:
    expected: int = 0


def delivery(fetch: Fetch, expected: int = 0, count: int = 0, **more: Any) -> StudyDelivery:
    fakes: Any = (fetch, Cursor(expected), None)
    return StudyDelivery(*fakes, count, None, **more)


def test_what_the_catalogue_tells_counts_until_the_study_is_known() -> None:
    assert delivery(Fetch(), 2, 5).total == 5
    assert delivery(Fetch(settled=True), 2, 5, given=[known(1)]).total == 3


def test_a_study_that_is_short_of_what_was_promised_is_not_done() -> None:
    whole = delivery(Fetch(settled=True), given=[known(1), known(2)], arrived=2)
    assert whole.ended(Ending.OVER).outcome is ReadOutcome.DONE
    short = delivery(Fetch(settled=True), given=[known(1), known(2)], arrived=2, short=1)
    ended = short.ended(Ending.OVER)
    assert (ended.outcome, ended.sent, ended.total) == (ReadOutcome.FAILED, 2, 3)


def test_what_was_replaced_after_it_was_given_is_told() -> None:
    first, second = known(1, b"1"), known(2, b"2")
    of = delivery(Fetch(known=[first, known(2, b"new"), known(3, b"3")]), given=[first, second])
    assert of.replaced() == (second.entry.sop_instance_uid,)
