"""What the PACS commits to of the studies that are forwarded, where it is asked (Storage
Commitment)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from broker.pacs.adapter import PacsAdapter
from p2pacs.dimse.commitment import Reference
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import InstanceEntry

log = structlog.get_logger(__name__)

_TOGETHER: Final = 5_000
"""Instances of one question: more than most studies have."""


class Committing:
    """Asks, and remembers what was answered since the start."""

    def __init__(self, pacs: PacsAdapter, remembered: int) -> None:
        """Nothing is asked yet.

        Args:
            pacs: whom to ask.
            remembered: studies of which the answers are kept.
        """
        self._pacs = pacs
        self._remembered = remembered
        self._committed: dict[StudyId, set[str]] = {}
        self._refused: dict[StudyId, set[str]] = {}

    def refused(self, study: StudyId) -> set[str]:
        """SOP Instance UIDs that the PACS did not commit to: they are to be stored again."""
        return self._refused.get(study, set())

    async def ask(self, study: StudyId, entries: Mapping[str, InstanceEntry]) -> None:
        """Have the PACS commit to instances of a study, but for those that it did.

        Raises:
            PacsDataError: it does not commit to some.
            PacsError: it must, and does not answer yet.
        """
        committed = self._committed.setdefault(study, set())
        while len(self._committed) > self._remembered:
            forgotten = next(iter(self._committed))
            del self._committed[forgotten]
            self._refused.pop(forgotten, None)
        refused: dict[str, int] = {}
        for some in _parts(entries[uid] for uid in sorted(entries.keys() - committed)):
            answer = await self._pacs.commit(some)
            if answer is None:
                return
            refused |= answer
            committed.update(one.uid for one in some if one.uid not in answer)
        self._refused[study] = set(refused)
        if refused:
            reasons = ", ".join(f"0x{reason:04X}" for reason in sorted(set(refused.values())))
            raise PacsDataError(
                f"{self._pacs.name} does not commit to {len(refused)} instances (Failure Reason "
                f"{reasons}): they are stored again; where it never does, write ?commitment=no in "
                "its address"
            )


def _parts(entries: Iterable[InstanceEntry]) -> list[list[Reference]]:
    all_of_them = [Reference(one.sop_class_uid, one.sop_instance_uid) for one in entries]
    return [all_of_them[at : at + _TOGETHER] for at in range(0, len(all_of_them), _TOGETHER)]
