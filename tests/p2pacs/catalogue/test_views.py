from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.catalogue.views import by_patient, patients, series_view, study_view
from p2pacs.dataset.json_model import number, text, texts

from .samples import attributes, series, study


def test_counts_come_from_what_is_listed() -> None:
    record = study(1, series("1.2.1.1", "CT", 3), series("1.2.1.2", "SR", 1))
    view = study_view(record)
    assert number(view, "NumberOfStudyRelatedSeries") == 2
    assert number(view, "NumberOfStudyRelatedInstances") == 4
    assert texts(view, "ModalitiesInStudy") == ["CT", "SR"]
    assert number(series_view(record.series[0]), "NumberOfSeriesRelatedInstances") == 3


def test_counts_come_from_the_pacs_where_instances_are_not_listed() -> None:
    record = study(1, series("1", instances=3, listed=False), series("2", instances=4))
    assert number(study_view(record), "NumberOfStudyRelatedInstances") == 7
    said = study(2, NumberOfStudyRelatedInstances=("IS", "9"), ModalitiesInStudy=("CS", "CT\\PT"))
    assert number(study_view(said), "NumberOfStudyRelatedInstances") == 9
    assert texts(study_view(said), "ModalitiesInStudy") == ["CT", "PT"]
    unknown = study(3, SeriesRecord("1", {}), NumberOfStudyRelatedInstances=("IS", "9"))
    assert number(study_view(unknown), "NumberOfStudyRelatedInstances") == 9


def test_classes_of_the_instances_are_those_of_the_study() -> None:
    held = SeriesRecord(
        "1", {}, tuple(attributes(SOPClassUID=("UI", uid)) for uid in ("1.5", "1.4", "1.5"))
    )
    assert texts(study_view(study(1, held)), "SOPClassesInStudy") == ["1.4", "1.5"]


def test_patients_are_counted_over_their_studies() -> None:
    records = [
        study(1, series("1", instances=2), patient="A"),
        study(2, series("2", instances=3), series("3", instances=1), patient="A"),
        study(3, patient="B"),
        study(4, patient=""),
        study(5, patient=""),
    ]
    found = list(patients(records))
    assert [texts(v, "PatientID") for v in found] == [["A"], ["B"], [], []]
    counts = [
        number(found[0], f"NumberOfPatientRelated{n}") for n in ("Studies", "Series", "Instances")
    ]
    assert counts == [2, 3, 6]
    assert not texts(found[0], "StudyDate")


def mixed() -> StudyRecord:
    """A study with a series of another patient in it."""
    other = SeriesRecord(
        "1.2.1.2",
        attributes(PatientID=("LO", "PB"), PatientName=("PN", "B"), Modality=("CS", "CT")),
    )
    return study(1, series("1.2.1.1"), other, name="A", patient="PA", PatientSex=("CS", "F"))


def test_a_study_of_two_patients_is_that_of_each() -> None:
    (own, first), (others, second) = by_patient(mixed())
    assert (text(own, "PatientID"), text(own, "PatientSex")) == ("PA", "F")
    assert [one.uid for one in first] == ["1.2.1.1"]
    assert (text(others, "PatientID"), text(others, "PatientName")) == ("PB", "B")
    assert [one.uid for one in second] == ["1.2.1.2"]
    assert text(others, "StudyDate") == "20240131"
    assert not text(others, "PatientSex"), "another patient's sex"
    assert [text(one, "PatientID") for one in patients([mixed()])] == ["PA", "PB"]


def test_nearly_every_study_has_one_patient() -> None:
    record = study(1, series("1.2.1.1"))
    ((own, parts),) = by_patient(record)
    assert own is record.attributes
    assert parts is record.series
