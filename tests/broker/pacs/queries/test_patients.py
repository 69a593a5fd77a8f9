from broker.pacs.queries.patients import are_several, merged, with_patient
from p2pacs.dataset.json_model import Json, number, text, texts
from p2pacs.dataset.vocabulary import tag
from tests.p2pacs.catalogue.samples import attributes


def answer(uid: str, patient: str, modality: str, count: str = "2") -> Json:
    return attributes(
        StudyInstanceUID=("UI", uid),
        PatientID=("LO", patient),
        PatientName=("PN", f"N^{patient}"),
        ModalitiesInStudy=("CS", modality),
        NumberOfStudyRelatedInstances=("IS", count),
    )


def test_a_study_is_one_answer_always_the_same() -> None:
    both = [answer("1", "PB", "MR"), answer("2", "PC", "CT"), answer("1", "PA", "CT\\SR", "3")]
    for answers in (both, both[::-1]):
        (first,) = (one for one in merged(answers) if text(one, "StudyInstanceUID") == "1")
        assert (text(first, "PatientID"), text(first, "PatientName")) == ("PA", "N^PA")
        assert number(first, "NumberOfStudyRelatedInstances") == 5
        assert texts(first, "ModalitiesInStudy") == ["CT", "MR", "SR"]
    assert len(merged(both)) == 2
    assert merged(both)[1] == both[1]


def test_a_count_that_not_all_tell_is_that_of_the_first() -> None:
    second = answer("1", "PB", "MR")
    del second[tag("NumberOfStudyRelatedInstances")]
    (found,) = merged([answer("1", "PA", "CT"), second])
    assert number(found, "NumberOfStudyRelatedInstances") == 2


def test_an_answer_that_comes_twice_is_one() -> None:
    assert merged([answer("1", "PA", "CT")] * 2) == [answer("1", "PA", "CT")]
    assert not are_several([answer("1", "PA", "CT")] * 2)
    assert are_several([answer("1", "PA", "CT"), answer("1", "PB", "CT")])


def test_a_series_names_its_patient_only_if_it_is_another() -> None:
    study = answer("1", "PA", "CT")
    series = attributes(PatientID=("LO", "PA"), PatientName=("PN", "N^PA"), Modality=("CS", "CT"))
    assert with_patient(series, study) == attributes(Modality=("CS", "CT"))
    issued = series | attributes(IssuerOfPatientID=("LO", "NORTH"))
    assert with_patient(issued, study) == attributes(Modality=("CS", "CT"))
    elsewhere = study | attributes(IssuerOfPatientID=("LO", "SOUTH"))
    assert with_patient(issued, elsewhere) == issued
    other = series | attributes(PatientID=("LO", "PB"))
    assert with_patient(other, study) == other
