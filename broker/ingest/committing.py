"""What the PACS commits to of the studies that are forwarded, where it is asked (Storage
Commitment)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import structlog

from broker.ingest.sent import SentStudy
from broker.pacs.adapter import PacsAdapter
from broker.trail import audit
from p2pacs.dimse.commitment import Reference
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import InstanceEntry

log = structlog.get_logger(__name__)

COMMITTED: Final = "storage commitment"
"""In the audit trail."""

_TOGETHER: Final = 5_000
"""Instances of one question: more than most studies have."""


class Committing:
    """Asks, and remembers what was answered since the start."""

    def __init__(
        self,
        pacs: PacsAdapter,
        remembered: int,
        record: Callable[[audit.Entry], Awaitable[None]],
    ) -> None:
        """Nothing is asked yet.

        Args:
            pacs: whom to ask.
            remembered: studies of which the answers are kept.
            record: writes down in the audit trail what it answered.
        """
        self._pacs = pacs
        self._record = record
        self._remembered = remembered
        self._committed: dict[StudyId, set[str]] = {}
        self._refused: dict[StudyId, set[str]] = {}

    def refused(self, study: StudyId) -> set[str]:
        """SOP Instance UIDs that the PACS did not commit to: they are to be stored again."""
        return self._refused.get(study, set())

    async def ask(self, sent: SentStudy, entries: Mapping[str, InstanceEntry]) -> None:
        """Have the PACS commit to instances of a study, but for those that it did; what it answered
        is written down, the same refusal once.

        Raises:
            PacsDataError: it does not commit to some.
            PacsError: it must, and does not answer yet.
        """
        study = sent.study
        committed, before = self._committed.setdefault(study, set()), self.refused(study)
        while len(self._committed) > self._remembered:
            forgotten = next(iter(self._committed))
            del self._committed[forgotten]
            self._refused.pop(forgotten, None)
        refused: dict[str, int] = {}
        fresh = 0
        for some in _parts(entries[uid] for uid in sorted(entries.keys() - committed)):
            answer = await self._pacs.commit(some)
            if answer is None:
                return
            refused |= answer
            committed.update(one.uid for one in some if one.uid not in answer)
            fresh += len(some) - len(answer)
        self._refused[study] = set(refused)
        if fresh:
            await self._record(_entry(sent, fresh))
        if refused.keys() - before:
            await self._record(_entry(sent, len(refused), audit.REFUSED))
        if refused:
            reasons = ", ".join(f"0x{reason:04X}" for reason in sorted(set(refused.values())))
            raise PacsDataError(
                f"{self._pacs.name} does not commit to {len(refused)} instances (Failure Reason "
                f"{reasons}): they are stored again; where it never does, write ?commitment=no in "
                "its address"
            )


def _entry(sent: SentStudy, count: int, outcome: str = audit.DONE) -> audit.Entry:
    detail = f"{count} instances"
    return audit.Entry(COMMITTED, "-", sent.member, sent.study, sent.uid, detail, outcome)


def _parts(entries: Iterable[InstanceEntry]) -> list[list[Reference]]:
    all_of_them = [Reference(one.sop_class_uid, one.sop_instance_uid) for one in entries]
    return [all_of_them[at : at + _TOGETHER] for at in range(0, len(all_of_them), _TOGETHER)]
