"""A study as a line of a page. Pure."""

from __future__ import annotations

from attrs import field, frozen

from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import Json, texts
from p2pacs.ids import StudyId
from p2pacs.pages.words import day, person
from p2pacs.texts import clean


@frozen
class ShownStudy:
    """What a line tells of a study; made safe to be shown."""

    study: StudyId
    uid: str = field(repr=False)
    patient: str = field(repr=False)
    """Name of the patient; of all, where it has several."""
    patient_id: str = field(repr=False)
    date: str = field(repr=False)
    modalities: str = field(repr=False)
    description: str = field(repr=False)

    @classmethod
    def of(cls, record: StudyRecord) -> ShownStudy:
        """The line of a record."""
        view = study_view(record)
        return cls(
            record.study,
            record.uid,
            person("\\".join(texts(view, "PatientName"))),
            _listed(view, "PatientID"),
            ", ".join(day(one) for one in texts(view, "StudyDate")),
            _listed(view, "ModalitiesInStudy"),
            _listed(view, "StudyDescription"),
        )


def _listed(view: Json, keyword: str) -> str:
    return clean(", ".join(texts(view, keyword)))
