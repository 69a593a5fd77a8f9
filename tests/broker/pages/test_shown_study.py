from attrs import evolve

from broker.pages.shown_study import ShownStudy
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from tests.broker.access.test_rules import CT


def test_a_study_is_shown_safely() -> None:
    more = {tag("StudyDescription"): entry("LO", "he\u202ead"), tag("PatientID"): entry("LO", "1")}
    shown = ShownStudy.of(evolve(CT, attributes=CT.attributes | more))
    assert (shown.patient, shown.patient_id, shown.date) == ("DOE, JANE", "1", "2026-03-15")
    assert (shown.modalities, shown.description) == ("CT, SR", "he\\u202ead")
    assert "DOE" not in repr(shown)
