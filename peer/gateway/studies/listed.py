"""Which study an instance is in, of those that were listed lately: who asks for images without
naming their study has mostly just looked for them."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable
from threading import Lock
from typing import Final

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.question import UNIQUE
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import Json, texts
from p2pacs.ids import StudyId

MOST: Final = 1_000_000
"""Instances that are remembered, in eight bytes each."""


class ListedInstances:
    """Of the studies that were listed last, their instances; of any thread."""

    def __init__(self, most: int = MOST) -> None:
        """It knows none.

        Args:
            most: instances at most; the studies that were listed first make room.
        """
        self._most = most
        self._lock = Lock()
        self._studies: dict[StudyId, array[int]] = {}
        self._count = 0

    def listed(self, study: StudyId, instances: Iterable[str]) -> None:
        """These are the SOP Instance UIDs of a study."""
        known = array("Q", sorted(map(_short, instances)))
        with self._lock:
            self._count += len(known) - len(self._studies.pop(study, ()))
            self._studies[study] = known
            while self._count > self._most:
                oldest = next(iter(self._studies))
                self._count -= len(self._studies.pop(oldest))

    def records(self, catalogue: CatalogueIndex, instances: Collection[str]) -> list[StudyRecord]:
        """The studies with these SOP Instance UIDs, in a worker or DICOM thread; none if one of the
        instances is of no study that is known."""
        found = map(catalogue.get, self.studies_of(instances) or ())
        return [record for record in found if record is not None]

    def studies_of(self, instances: Collection[str]) -> set[StudyId] | None:
        """The studies with these SOP Instance UIDs; None if one is of no study that is known."""
        with self._lock:
            studies = tuple(self._studies.items())
        found = set[StudyId]()
        for short in map(_short, instances):
            having = {study for study, known in studies if _has(known, short)}
            if not having:
                return None
            found |= having
        return found


def images_alone(keys: Json) -> list[str]:
    """The SOP Instance UIDs of a search that names neither their studies nor series."""
    above = (texts(keys, UNIQUE[level]) for level in ("STUDY", "SERIES"))
    return [] if any(above) else texts(keys, UNIQUE["IMAGE"])


def _short(uid: str) -> int:
    """What stands for a UID: another one has the same by no chance that counts, and who is led to a
    wrong study finds no such instance there."""
    digest = hashlib.blake2b(uid.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _has(known: array[int], short: int) -> bool:
    at = bisect_left(known, short)
    return at < len(known) and known[at] == short
