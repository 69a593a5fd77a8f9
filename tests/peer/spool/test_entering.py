import pytest

from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag
from peer.spool.entering import names_another_patient


def patient(**values: str) -> Json:
    return {tag(keyword): entry("LO", value) for keyword, value in values.items()}


@pytest.mark.parametrize(
    ("other", "is_another"),
    [
        (patient(PatientID="1", PatientName="A^B", PatientSex="F"), False),
        (patient(PatientID="1"), False),
        (patient(PatientID="", PatientName="", StudyDate="20240101"), False),
        (patient(), False),
        (patient(PatientID="2", PatientName="A^B"), True),
        (patient(PatientID="1", PatientName="C^D"), True),
        (patient(PatientBirthDate="20000101", PatientSex="M"), True),
    ],
)
def test_what_both_say_of_a_patient_counts(other: Json, is_another: bool) -> None:
    one = patient(PatientID="1", PatientName="A^B", PatientSex="F")
    assert names_another_patient(one, other) is is_another
    assert names_another_patient(other, one) is is_another
