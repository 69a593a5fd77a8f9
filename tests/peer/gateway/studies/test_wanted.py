from pydicom.dataset import Dataset

from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.json_model import dump
from p2pacs.dataset.vocabulary import HEADER_TAGS, QueryRoot
from p2pacs.study.study_index import InstanceEntry
from peer.gateway.studies.wanted import is_wanted, promised, wanted_of
from tests.p2pacs.catalogue.samples import attributes, query, series, study
from tests.p2pacs.study import samples

FIRST, SECOND, LATER = "1.2.1.1", "1.2.1.2", "1.2.1.3"


def mixed() -> StudyRecord:
    other = SeriesRecord(SECOND, attributes(PatientID=("LO", "PB"), PatientName=("PN", "B")))
    return study(1, series(FIRST), other, patient="PA")


def entry(series_uid: str, number: int = 1, json: bytes = b"{}") -> InstanceEntry:
    uid = f"{series_uid}.{number}"
    return InstanceEntry(samples.CT, uid, series_uid, samples.EXPLICIT, bytes(32), 1, (), json)


def of(patient: str) -> bytes:
    header = Dataset()
    header.PatientID = patient
    return dump(from_dataset(header, HEADER_TAGS))


def selected(level: str, **keys: str | list[str]) -> Selection:
    root: QueryRoot = "PATIENT" if "PatientID" in keys else "STUDY"
    return Selection.parse(query(level, **keys), root)


def given(record: StudyRecord, level: str, *entries: InstanceEntry, **keys: str) -> list[str]:
    root: QueryRoot = "PATIENT" if "PatientID" in keys else "STUDY"
    selection = Selection.parse(query(level, **keys), root)
    if not is_wanted(selection, record):
        return []
    wanted = wanted_of(selection, record)
    return [one.sop_instance_uid for one in entries if wanted is None or wanted(one)]


def test_all_of_a_study_of_one_patient() -> None:
    record = study(1, series(FIRST), patient="PA")
    selection = Selection.parse(query("PATIENT", PatientID="PA"), "PATIENT")
    assert wanted_of(selection, record) is None
    assert not given(record, "PATIENT", entry(FIRST), PatientID="PB")


def test_of_a_mixed_study_each_patient_has_his_own_series() -> None:
    both = entry(FIRST), entry(SECOND)
    assert given(mixed(), "PATIENT", *both, PatientID="PA") == ["1.2.1.1.1"]
    assert given(mixed(), "PATIENT", *both, PatientID="PB") == ["1.2.1.2.1"]
    assert given(mixed(), "PATIENT", *both, PatientID="PC") == []
    keys = {"PatientID": "PB", "StudyInstanceUID": "1.2.1"}
    assert given(mixed(), "SERIES", *both, **keys, SeriesInstanceUID=FIRST) == []
    assert given(mixed(), "SERIES", *both, **keys, SeriesInstanceUID=SECOND) == ["1.2.1.2.1"]
    assert len(given(mixed(), "STUDY", *both, StudyInstanceUID="1.2.1")) == 2


def test_a_series_that_the_catalogue_does_not_have_yet_is_its_headers_patients() -> None:
    later = entry(LATER, 1, of("PA")), entry(LATER, 2, of("PB")), entry(LATER, 3, b"no JSON")
    assert given(mixed(), "PATIENT", *later, PatientID="PB") == ["1.2.1.3.2"]


def test_series_and_instances_of_a_study() -> None:
    record, both = study(1, series(FIRST)), (entry(FIRST, 1), entry(FIRST, 2))
    keys = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": FIRST}
    assert len(given(record, "SERIES", *both, entry(SECOND), **keys)) == 2
    assert given(record, "IMAGE", *both, **keys, SOPInstanceUID="1.2.1.1.2") == ["1.2.1.1.2"]


def counted(uid: str, count: str, **more: tuple[str, str]) -> SeriesRecord:
    return SeriesRecord(uid, attributes(NumberOfSeriesRelatedInstances=("IS", count), **more))


def told(record: StudyRecord, level: str, **keys: str | list[str]) -> int:
    return promised(selected(level, **keys), record)


def test_what_the_catalogue_promises_of_a_study_and_of_series() -> None:
    record = study(1, counted(FIRST, "3"), counted(SECOND, "4"), patient="PA")
    whole = {"StudyInstanceUID": "1.2.1"}
    assert told(record, "STUDY", **whole) == 7
    assert told(record, "SERIES", **whole, SeriesInstanceUID=SECOND) == 4
    assert told(record, "SERIES", **whole, SeriesInstanceUID=[FIRST, SECOND]) == 7
    one = {"SeriesInstanceUID": FIRST, "SOPInstanceUID": f"{FIRST}.1"}
    assert told(record, "IMAGE", **whole, **one) == 0


def test_what_is_promised_of_each_patient_of_a_mixed_study() -> None:
    other = counted(SECOND, "4", PatientID=("LO", "PB"), PatientName=("PN", "B"))
    record = study(1, counted(FIRST, "3"), other, patient="PA")
    assert told(record, "PATIENT", PatientID="PA") == 3
    assert told(record, "PATIENT", PatientID="PB") == 4
    assert told(record, "STUDY", PatientID="PB", StudyInstanceUID="1.2.1") == 4


def test_a_record_without_counts_promises_nothing() -> None:
    record = study(1, counted(FIRST, "3"), series(SECOND), patient="PA")
    uids = [FIRST, SECOND]
    assert told(record, "SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID=uids) == 0
    assert told(record, "SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID=FIRST) == 3
