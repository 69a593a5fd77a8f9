from typing import Any

import pytest
from attrs import evolve
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.catalogue.find import find
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError

from .samples import attributes, query, series, study


def head(of: SeriesRecord) -> SeriesRecord:
    return evolve(of, attributes=of.attributes | attributes(BodyPartExamined=("CS", "HEAD")))


RECORDS = [
    study(1, series("1.2.1.1", "CT", 2), series("1.2.1.2", "SR", 1), name="Müller^Hans"),
    study(2, head(series("1.2.2.1", "MR", 3)), patient="P2", date="20230101"),
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
        ({"Modality": "SR"}, ["1.2.1"]),
        ({"Modality": "C*\\SR"}, ["1.2.1", "1.2.3"]),
        ({"BodyPartExamined": "HEAD"}, ["1.2.2"]),
        ({"BodyPartExamined": "HEAD", "Modality": "MR"}, ["1.2.2"]),
        ({"BodyPartExamined": "HEAD", "Modality": "CT"}, []),
        ({"SeriesInstanceUID": "1.2.3.1"}, ["1.2.3"]),
        ({"StudyDate": "*", "StudyInstanceUID": "*"}, ["1.2.1", "1.2.2", "1.2.3"]),
    ],
)
def test_studies_by_key(keys: dict[str, str], expected: list[str]) -> None:
    assert uids(**keys) == expected


def by_options(options: SearchOptions, level: str = "STUDY", **keys: str) -> list[str]:
    unique = {"SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
    name = unique.get(level, "StudyInstanceUID")
    found = find(RECORDS, query(level, **keys), "STUDY", None, options)
    return [str(answer[name].value) for answer in found]


def test_relational_queries_need_no_keys_of_the_levels_above() -> None:
    relational = SearchOptions(relational=True)
    with pytest.raises(UsageError):
        by_options(LITERAL, "SERIES", Modality="CT")
    assert by_options(relational, "SERIES", Modality="CT") == ["1.2.1.1", "1.2.3.1"]
    assert by_options(relational, "SERIES", Modality="CT", PatientName="d*") == ["1.2.3.1"]
    assert by_options(relational, "IMAGE", SOPInstanceUID="1.2.2.1.3") == ["1.2.2.1.3"]
    assert by_options(relational, "IMAGE", Modality="SR") == ["1.2.1.2.1"]


def test_names_that_sound_alike_are_found_where_that_is_agreed_on() -> None:
    assert by_options(LITERAL, PatientName="Muller") == []
    assert by_options(SearchOptions(fuzzy=True), PatientName="Muller") == ["1.2.1"]
    assert by_options(SearchOptions(fuzzy=True), PatientName="Jon Dow") == ["1.2.2", "1.2.3"]


@pytest.mark.parametrize(
    ("combined", "time", "expected"),
    [(False, "1000-1800", [2]), (True, "1000-1800", [1, 2]), (True, "1000", [2])],
)
def test_dates_and_times_as_one_range(combined: bool, time: str, expected: list[int]) -> None:
    clocks = {1: "2200", 2: "1000", 3: "0900"}
    records = [study(n, date="20060706", StudyTime=("TM", at)) for n, at in clocks.items()]
    records[2] = study(3, date="20060705", StudyTime=("TM", "0900"))
    asked = query(StudyDate="20060705-20060707", StudyTime=time)
    found = find(records, asked, "STUDY", None, SearchOptions(combined=combined))
    assert [answer.StudyInstanceUID for answer in found] == [f"1.2.{n}" for n in expected]


def test_a_time_that_is_not_known_lets_a_range_of_both_through() -> None:
    asked = query("STUDY", PatientBirthDate="19600101-19601231", PatientBirthTime="1000-1200")
    records = [study(1, PatientBirthDate=("DA", day)) for day in ("19600601", "19700601")]
    answers = find(records, asked, "STUDY", frozenset(), SearchOptions(combined=True))
    assert [tag("PatientBirthTime") in answers.ignored for _ in answers] == [True]


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


# ---------------------------------------------------------------- keys of series at study level


def test_a_key_of_series_comes_back_from_the_series_that_matched() -> None:
    (answer,) = find(RECORDS, query(Modality="SR", SeriesDescription=""), "STUDY")
    assert answer.Modality == "SR"
    assert "SeriesDescription" not in answer


def test_all_keys_of_series_must_be_those_of_one_series() -> None:
    record = study(1, head(series("1.2.1.1", "MR")), series("1.2.1.2", "CT"))
    assert not list(find([record], query(BodyPartExamined="HEAD", Modality="CT"), "STUDY"))


def test_modalities_are_known_of_a_study_whose_series_are_not_listed() -> None:
    record = study(1, ModalitiesInStudy=("CS", "CT\\PT"))
    for modality, count in (("PT", 1), ("MR", 0)):
        answers = find([record], query(Modality=modality), "STUDY")
        assert len(list(answers)) == count
        assert not answers.ignored
    answers = find([record], query(Modality="PT", BodyPartExamined="HEAD"), "STUDY")
    assert len(list(answers)) == 1
    assert answers.ignored == {tag("BodyPartExamined")}


# ---------------------------------------------------------------- what is not known


def test_what_no_record_has_lets_everything_through_and_is_said() -> None:
    asked = query(PatientWeight="70", BodyPartExamined="HEAD", PatientID="P1")
    answers = find(RECORDS, asked, "STUDY", known={tag("BodyPartExamined")})
    assert not list(answers)
    answers = find(RECORDS, query(PatientWeight="70"), "STUDY", known=set())
    assert len(list(answers)) == 3
    assert answers.ignored == {tag("PatientWeight")}


def told(level: str, known: set[str] | None = None, **keys: str) -> list[tuple[str, bool]]:
    """Each answer's study, and whether all keys were matched."""
    first, second, third = RECORDS
    empty = evolve(first, attributes=first.attributes | attributes(PatientWeight=("DS", "")))
    weighed = evolve(second, attributes=second.attributes | attributes(PatientWeight=("DS", "70")))
    answers = find([weighed, empty, third], query(level, **keys), "STUDY", known)
    return [(str(answer.StudyInstanceUID), not answers.ignored) for answer in answers]


def test_what_one_study_tells_is_not_known_of_others() -> None:
    """The headers of one were read, and the PACS tells nobody's weight nor body parts."""
    assert told("STUDY", set(), PatientWeight="70") == [("1.2.2", True), ("1.2.3", False)]
    assert told("STUDY", set(), PatientWeight="71") == [("1.2.3", False)]
    asked = {"BodyPartExamined": "HEAD"}
    assert told("STUDY", set(), **asked) == [("1.2.2", True), ("1.2.1", False), ("1.2.3", False)]
    assert told("STUDY", {tag("BodyPartExamined")}, **asked) == [("1.2.2", True)]
    assert told("SERIES", set(), StudyInstanceUID="1.2.3", **asked) == [("1.2.3", False)]
    assert told("SERIES", set(), StudyInstanceUID="1.2.2", **asked) == [("1.2.2", True)]


def test_of_the_series_that_may_match_the_one_that_does_comes_back() -> None:
    record = study(1, series("1.2.1.1"), head(series("1.2.1.2")))
    asked = query(BodyPartExamined="HEAD", SeriesInstanceUID="")
    answers = find([record], asked, "STUDY", known=set())
    (answer,) = answers
    assert (answer.SeriesInstanceUID, answers.ignored) == ("1.2.1.2", set())


def test_a_count_that_nobody_tells_lets_the_study_through() -> None:
    record = study(1, SeriesRecord("1.2.1.1", {}))
    answers = find([record], query(NumberOfStudyRelatedInstances="2"), "STUDY", known=set())
    assert len(list(answers)) == 1
    assert answers.ignored == {tag("NumberOfStudyRelatedInstances")}
    asked = query("PATIENT", PatientID="P1", NumberOfPatientRelatedInstances="2")
    answers = find([record], asked, "PATIENT", known=set())
    (answer,) = answers
    assert answer.NumberOfPatientRelatedInstances is None
    assert answers.ignored == {tag("NumberOfPatientRelatedInstances")}


def test_counts_of_a_patient_are_not_those_of_a_study() -> None:
    answers = find(RECORDS, query(NumberOfPatientRelatedStudies="1"), "STUDY")
    assert len(list(answers)) == 3
    assert answers.ignored == {tag("NumberOfPatientRelatedStudies")}


def test_required_keys_are_matched_even_if_no_record_has_one() -> None:
    answers = find(RECORDS, query(AccessionNumber="A1"), "STUDY", known=set())
    assert not list(answers)
    assert not answers.ignored


@pytest.mark.parametrize(
    ("level", "keys", "ignored"),
    [
        ("STUDY", {"InstanceNumber": "1"}, "InstanceNumber"),
        ("STUDY", {"KVP": "120"}, "KVP"),
        ("SERIES", {"StudyInstanceUID": "1.2.1", "SliceLocation": "5"}, "SliceLocation"),
    ],
)
def test_keys_below_the_level_and_unknown_ones_are_said(
    level: str, keys: dict[str, str], ignored: str
) -> None:
    answers = find(RECORDS, query(level, **keys), "STUDY")
    assert list(answers)
    assert answers.ignored == {tag(ignored)}


def test_keys_that_only_ask_are_nothing_to_say() -> None:
    asked = query(KVP="", SliceLocation="", Modality="", RetrieveAETitle="X")
    assert not find(RECORDS, asked, "STUDY").ignored


def test_what_is_not_known_of_instances_is_said() -> None:
    record = evolve(RECORDS[1], instance_keys=frozenset({tag("InstanceNumber")}))
    asked = query(
        "IMAGE", StudyInstanceUID="1.2.2", SeriesInstanceUID="1.2.2.1", InstanceNumber="2"
    )
    assert len(list(find([record], asked, "STUDY"))) == 1
    asked.SliceLocation = "7"
    answers = find([record], asked, "STUDY")
    assert len(list(answers)) == 1
    assert answers.ignored == {tag("SliceLocation")}
    assert not list(find([RECORDS[1]], asked, "STUDY"))


# ---------------------------------------------------------------- several patients in one study


@pytest.mark.parametrize(
    ("keys", "patients"),
    [
        ({"PatientID": "PA"}, ["PA"]),
        ({"PatientID": "PB"}, ["PB"]),
        ({"PatientName": "b*"}, ["PB"]),
        ({"PatientID": "PB", "PatientName": "a*"}, []),
        ({"PatientID": "PB", "Modality": "CT"}, ["PB"]),
        ({"PatientID": "PA", "BodyPartExamined": "HEAD"}, []),
        ({}, ["PA", "PB"]),
    ],
)
def test_a_study_of_two_patients_is_found_by_each(
    keys: dict[str, str], patients: list[str]
) -> None:
    other = attributes(
        PatientID=("LO", "PB"), PatientName=("PN", "B^B"), Modality=("CS", "CT"),
        BodyPartExamined=("CS", "HEAD"),
    )  # fmt: skip
    record = study(1, series("1.2.1.1"), SeriesRecord("1.2.1.2", other), name="A^A", patient="PA")
    found = list(find([record], query(**{"PatientID": "", **keys}), "STUDY"))
    assert [str(answer.PatientID) for answer in found] == patients
    assert {str(answer.StudyInstanceUID) for answer in found} <= {"1.2.1"}
    below = query("SERIES", StudyInstanceUID="1.2.1", PatientID="PB", PatientName="")
    (one,) = find([record], below, "STUDY")
    assert (one.SeriesInstanceUID, one.PatientName) == ("1.2.1.2", "B^B")


def test_counts_of_a_study_of_two_patients_are_those_of_each() -> None:
    other = attributes(PatientID=("LO", "PB"), PatientName=("PN", "B^B"))
    counted = attributes(NumberOfSeriesRelatedInstances=("IS", "5"))
    asked = query("PATIENT", PatientID="")
    for name in ("Studies", "Series", "Instances"):
        setattr(asked, f"NumberOfPatientRelated{name}", "")

    def counts(*parts: SeriesRecord) -> list[tuple[object, ...]]:
        said = ("IS", "7")
        record = study(
            1, series("1.2.1.1"), *parts, patient="PA", NumberOfStudyRelatedInstances=said
        )
        return [
            (
                str(one.PatientID),
                one.NumberOfPatientRelatedStudies,
                one.NumberOfPatientRelatedSeries,
                one.NumberOfPatientRelatedInstances,
            )
            for one in find([record], asked, "PATIENT")
        ]

    assert counts(SeriesRecord("1.2.1.2", other | counted)) == [("PA", 1, 1, 2), ("PB", 1, 1, 5)]
    assert counts(SeriesRecord("1.2.1.2", other)) == [("PA", 1, 1, 2), ("PB", 1, 1, None)]
