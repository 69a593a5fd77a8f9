"""Whether instances are safe, by what the spool knows of them (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, Literal

from attrs import field, frozen

from p2pacs.dimse.commitment import CommitmentReport, FailureReason, Reference
from peer.spool.instance_progress import InstanceProgress

_SAFE: Final = "safe"
_WAITING: Final = "waiting"

_One = Literal["safe", "waiting"] | FailureReason


@frozen
class Verdict:
    """What is known of the instances of a request."""

    committed: tuple[Reference, ...] = field(repr=False)
    failed: tuple[tuple[Reference, FailureReason], ...] = field(repr=False)
    """Those that will never be, and why."""
    waiting: tuple[Reference, ...] = field(repr=False)
    """Those that are on their way."""

    def report(self, transaction: str) -> CommitmentReport:
        """What is told if nothing more is waited for: what is on its way has failed."""
        late = ((one, FailureReason.PROCESSING_FAILURE) for one in self.waiting)
        return CommitmentReport(transaction, self.committed, (*self.failed, *late))


def judge(
    references: Iterable[Reference],
    kept: Iterable[InstanceProgress],
    is_safe: Callable[[InstanceProgress], bool],
) -> Verdict:
    """Tell what is safe, what never will be, and what is on its way.

    Args:
        references: what is asked for.
        kept: all that came under these UIDs.
        is_safe: whether there are copies enough of an instance elsewhere.
    """
    found: dict[str, list[InstanceProgress]] = defaultdict(list)
    for one in kept:
        found[one.uid].append(one)
    sorted_out: dict[_One, list[Reference]] = defaultdict(list)
    for reference in references:
        sorted_out[_judge(reference, found[reference.uid], is_safe)].append(reference)
    failed = [(reference, reason) for reason in FailureReason for reference in sorted_out[reason]]
    return Verdict(tuple(sorted_out[_SAFE]), tuple(failed), tuple(sorted_out[_WAITING]))


def _judge(
    reference: Reference, kept: list[InstanceProgress], is_safe: Callable[[InstanceProgress], bool]
) -> _One:
    if not kept:
        return FailureReason.NO_SUCH_INSTANCE
    if any(one.sop_class != reference.sop_class for one in kept):
        return FailureReason.CLASS_CONFLICT
    # Of several under one UID nobody knows which is meant: only one of them is published.
    if any(one.is_beside for one in kept):
        return FailureReason.PROCESSING_FAILURE
    if all(is_safe(one) for one in kept):
        return _SAFE
    if any(one.is_refused and not is_safe(one) for one in kept):
        return FailureReason.PROCESSING_FAILURE
    return _WAITING
