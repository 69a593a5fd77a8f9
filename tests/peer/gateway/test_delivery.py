from typing import Any

from attrs import define, field

from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.dimse.backend import Ending
from p2pacs.ids import StudyId
from p2pacs.study.study_index import LeftOut
from peer.gateway.delivery import StudyDelivery, promised
from peer.retrieval.audit import ReadOutcome


@define
class Fetch:
    settled: bool = False
    left_out: LeftOut = field(factory=LeftOut)


@define
class Cursor:
    expected: int = 0


def delivery(fetch: Fetch, expected: int = 0, count: int = 0, **more: int) -> StudyDelivery:
    fakes: Any = (fetch, Cursor(expected), None)
    return StudyDelivery(*fakes, count, None, **more)


def test_what_the_catalogue_tells_counts_until_the_study_is_known() -> None:
    assert delivery(Fetch(), 2, 5).total == 5
    assert delivery(Fetch(settled=True), 2, 5, given=1).total == 3


def test_a_study_that_is_short_of_what_was_promised_is_not_done() -> None:
    whole = delivery(Fetch(settled=True), given=2, arrived=2)
    assert whole.ended(Ending.OVER).outcome is ReadOutcome.DONE
    short = delivery(Fetch(settled=True), given=2, arrived=2, short=1)
    ended = short.ended(Ending.OVER)
    assert (ended.outcome, ended.sent, ended.total) == (ReadOutcome.FAILED, 2, 3)


def test_a_record_without_a_count_promises_nothing() -> None:
    told = {tag("NumberOfStudyRelatedInstances"): entry("IS", "7")}
    assert promised(StudyRecord(StudyId(bytes(16)), "1.2", told, ())) == 7
    assert promised(StudyRecord(StudyId(bytes(16)), "1.2", {}, ())) == 0
