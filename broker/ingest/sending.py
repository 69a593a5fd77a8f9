"""Which studies members publish now, as this broker knows it; in memory, for who must not wait."""

from __future__ import annotations

from collections.abc import Iterable

from p2pacs.ids import StudyId


class SendingStudies:
    """The broker neither publishes these itself, nor takes them for gone when the PACS does not
    know them."""

    def __init__(self) -> None:
        self._studies: set[StudyId] = set()

    def __contains__(self, study: StudyId) -> bool:
        return study in self._studies

    def fill(self, studies: Iterable[StudyId]) -> None:
        """Those of the database, at the start."""
        self._studies.update(studies)

    def add(self, study: StudyId) -> None:
        """A member publishes it from now on."""
        self._studies.add(study)

    def discard(self, study: StudyId) -> None:
        """The broker does again."""
        self._studies.discard(study)
