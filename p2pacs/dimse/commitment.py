"""Storage Commitment Push Model: what is asked and what is reported, as data sets (PS3.4 J.3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from attrs import field, frozen
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from p2pacs.dataset.uids import is_uid
from p2pacs.errors import BusyError, UsageError
from p2pacs.limits import COMMITTED_INSTANCES

REQUEST: Final = 1
"""Action Type ID of the one action: Request Storage Commitment."""
ALL_COMMITTED: Final = 1
"""Event Type ID: all of a transaction are committed ..."""
FAILURES_EXIST: Final = 2
"""... or not all."""


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance that is not committed (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_CONFLICT = 0x0119


@frozen(order=True)
class Reference:
    """An instance that is named, and what it is said to be."""

    sop_class: str
    uid: str = field(repr=False)


@frozen
class CommitmentRequest:
    """What somebody wants to be told the safety of."""

    transaction: str = field(repr=False)
    """Transaction UID, which its report has, too."""
    references: tuple[Reference, ...] = field(repr=False)
    """Each instance once, in the order in which they were named."""


@frozen
class CommitmentReport:
    """What became of a request."""

    transaction: str = field(repr=False)
    committed: tuple[Reference, ...] = field(repr=False)
    failed: tuple[tuple[Reference, int], ...] = field(default=(), repr=False)
    """With their Failure Reasons; others than those of `FailureReason` may come from others."""

    @property
    def event(self) -> int:
        """Event Type ID."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED


def write_request(request: CommitmentRequest) -> Dataset:
    """The Action Information of a request."""
    information = Dataset()
    information.TransactionUID = UID(request.transaction)
    information.ReferencedSOPSequence = Sequence(map(_item, request.references))
    return information


def read_request(information: Dataset) -> CommitmentRequest:
    """What an Action Information asks.

    Raises:
        UsageError: it lacks something, or names what is no UID.
        BusyError: it names too many instances.
    """
    references = _references(information, "ReferencedSOPSequence")
    if not references:
        raise UsageError("Referenced SOP Sequence names no instance")
    return CommitmentRequest(_transaction(information), tuple(dict.fromkeys(references)))


def write_report(report: CommitmentReport) -> Dataset:
    """The Event Information of a report."""
    information = Dataset()
    information.TransactionUID = UID(report.transaction)
    if report.failed:
        failed = Sequence()
        for reference, reason in report.failed:
            item = _item(reference)
            item.FailureReason = reason
            failed.append(item)
        information.FailedSOPSequence = failed
    if report.committed or not report.failed:
        information.ReferencedSOPSequence = Sequence(map(_item, report.committed))
    return information


def read_report(event: int, information: Dataset) -> CommitmentReport:
    """What an Event Information reports.

    Raises:
        UsageError: it lacks something, names what is no UID, or contradicts its event.
        BusyError: it names too many instances.
    """
    committed = _references(information, "ReferencedSOPSequence")
    failed = _references(information, "FailedSOPSequence")
    if (event, bool(failed)) not in ((ALL_COMMITTED, False), (FAILURES_EXIST, True)):
        raise UsageError("the event is none of Storage Commitment, or not what is reported")
    reasons = [_reason(item) for item in _items(information, "FailedSOPSequence")]
    return CommitmentReport(
        _transaction(information), tuple(committed), tuple(zip(failed, reasons, strict=True))
    )


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(reference.sop_class)
    item.ReferencedSOPInstanceUID = UID(reference.uid)
    return item


def _transaction(information: Dataset) -> str:
    return _uid(information, "TransactionUID")


def _references(information: Dataset, keyword: str) -> list[Reference]:
    return [
        Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))
        for item in _items(information, keyword)
    ]


def _items(information: Dataset, keyword: str) -> Sequence:
    found = information.get(keyword)
    if found is None:
        return Sequence()
    if not isinstance(found, Sequence):
        raise UsageError(f"{keyword} is no sequence")
    if len(found) > COMMITTED_INSTANCES:
        raise BusyError(f"at most {COMMITTED_INSTANCES} instances in one request")
    return found


def _uid(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if not isinstance(value, str) or not is_uid(value):
        raise UsageError(f"{keyword} is missing, or no UID")
    return str(value)


def _reason(item: Dataset) -> int:
    value = item.get("FailureReason")
    return value if isinstance(value, int) else FailureReason.PROCESSING_FAILURE
