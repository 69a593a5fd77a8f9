from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.catalogue.find import find
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError

from .samples import attributes, query, series, study

RECORDS = [
    study(1, series("1.2.1.1", "CT", 2), series("1.2.1.2", "SR", 1), name="Müller^Hans"),
    study(2, series("1.2.2.1", "MR", 3), patient="P2", date="20230101"),
    study(3, series("1.2.3.1", "CT", 1), patient="P1", date="20200101", name="Doe^John"),
]


def uids(level: str = "STUDY", root: Any = "STUDY", **keys: str) -> list[str]:
    unique = {"PATIENT": "PatientID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
    name = unique.get(level, "StudyInstanceUID")
    return [str(answer[name].value) for answer in find(RECORDS, query(level, **keys), root)]


def test_each_level_answers_with_its_entities() -> None:
    assert uids() == ["1.2.1", "1.2.2", "1.2.3"]
    assert uids("PATIENT", "PATIENT") == ["P1", "P2"]
    assert uids("SERIES", StudyInstanceUID="1.2.1") == ["1.2.1.1", "1.2.1.2"]
    assert uids("IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1") == [
        "1.2.1.1.1",
        "1.2.1.1.2",
    ]
    assert uids("SERIES", "PATIENT", PatientID="P1", StudyInstanceUID="1.2.3") == ["1.2.3.1"]
    assert uids("SERIES", "PATIENT", PatientID="P2", StudyInstanceUID="1.2.3") == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"PatientName": "mÜLLER*"}, ["1.2.1"]),
        ({"PatientID": "P1"}, ["1.2.1", "1.2.3"]),
        ({"StudyDate": "20230101-"}, ["1.2.1", "1.2.2"]),
        ({"ModalitiesInStudy": "SR"}, ["1.2.1"]),
        ({"ModalitiesInStudy": "MR\\SR"}, ["1.2.1", "1.2.2"]),
        ({"StudyInstanceUID": "1.2.1\\1.2.3"}, ["1.2.1", "1.2.3"]),
        ({"PatientID": "P1", "ModalitiesInStudy": "MR"}, []),
        ({"StudyDescription": "x"}, []),
        ({"SeriesDescription": "ignored below the level"}, ["1.2.1", "1.2.2", "1.2.3"]),
    ],
)
def test_studies_by_key(keys: dict[str, str], expected: list[str]) -> None:
    assert uids(**keys) == expected


def test_keys_of_the_levels_above_match_too() -> None:
    assert uids("SERIES", StudyInstanceUID="1.2.1\\1.2.3", Modality="CT") == ["1.2.1.1", "1.2.3.1"]
    assert uids("SERIES", StudyInstanceUID="1.2.1\\1.2.3", Modality="CT", PatientName="d*") == [
        "1.2.3.1"
    ]


def test_an_answer_holds_what_was_asked_for_and_the_unique_keys() -> None:
    asked = query(
        PatientName="", StudyDescription="", NumberOfStudyRelatedInstances="", Allergies=""
    )
    (answer, *_) = find(RECORDS, asked, "STUDY")
    assert {element.keyword for element in answer} == {
        "SpecificCharacterSet",
        "QueryRetrieveLevel",
        "PatientName",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    }
    assert answer.NumberOfStudyRelatedInstances == 3
    assert not answer.StudyDescription
    assert answer.QueryRetrieveLevel == "STUDY"
    (image,) = find(
        RECORDS,
        query("IMAGE", PatientID="P2", StudyInstanceUID="1.2.2", SeriesInstanceUID="1.2.2.1",
              InstanceNumber="2"),
        "PATIENT",
    )  # fmt: skip
    assert {element.keyword for element in image} == {
        "QueryRetrieveLevel",
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "InstanceNumber",
    }


def test_patients_tell_how_many_studies_they_have() -> None:
    asked = query("PATIENT", PatientID="P1", NumberOfPatientRelatedStudies="")
    (answer,) = find(RECORDS, asked, "PATIENT")
    assert answer.NumberOfPatientRelatedStudies == 2


def test_an_invalid_identifier_is_refused_before_any_answer() -> None:
    with pytest.raises(UsageError):
        find(RECORDS, Dataset(), "STUDY")


def request(step: str, code: str = "9") -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = step
    item.RequestedProcedureID = code
    return item


@pytest.mark.parametrize(("step", "count"), [("S1", 1), ("S*", 1), ("X", 0), ("", 1)])
def test_sequences_match_by_one_item(step: str, count: int) -> None:
    items = [attributes(ScheduledProcedureStepID=("SH", s)) for s in ("S0", "S1")]
    items[0] |= attributes(RequestedProcedureID=("SH", "7"))
    held = attributes(Modality=("CS", "CT"))
    held[tag("RequestAttributesSequence")] = entry("SQ", *items)
    records = [study(1, SeriesRecord("1.5", held))]
    asked = query("SERIES", StudyInstanceUID="1.2.1")
    asked.RequestAttributesSequence = Sequence([request(step, "")])
    answers = list(find(records, asked, "STUDY"))
    assert len(answers) == count
    if answers:
        assert answers[0].RequestAttributesSequence[0].RequestedProcedureID == "7"


def test_an_empty_sequence_key_asks_for_the_whole_sequence() -> None:
    held = {tag("RequestAttributesSequence"): entry("SQ", attributes(StudyID=("SH", "7")))}
    asked = query("SERIES", StudyInstanceUID="1.2.1")
    asked.RequestAttributesSequence = Sequence([])
    (answer,) = find([study(1, SeriesRecord("1.5", held))], asked, "STUDY")
    assert answer.RequestAttributesSequence[0].StudyID == "7"
