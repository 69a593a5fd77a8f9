import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from p2pacs.catalogue.question import Question, Selection
from p2pacs.dataset.json_model import texts
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot, tag, vr_of
from p2pacs.errors import UsageError

from .samples import query


def test_keys_of_the_level_of_series_and_what_cannot_be_matched() -> None:
    asked = query(PatientID="P", SeriesDescription="x", ModalitiesInStudy="CT", Allergies="y")
    asked.RetrieveAETitle = "AET"
    asked.SliceLocation, asked.KVP = "1", ""
    question = Question.parse(asked, "STUDY")
    assert set(question.keys) == {tag("PatientID"), tag("ModalitiesInStudy")}
    assert set(question.below) == {tag("SeriesDescription")}
    assert question.unmatched == {tag("Allergies"), tag("SliceLocation")}
    patient = Question.parse(query("PATIENT", PatientID="P", StudyDate="2024"), "PATIENT")
    assert set(patient.keys) == {tag("PatientID")}
    assert patient.unmatched == {tag("StudyDate")}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "2026-01-10"),
        ("StudyDate", "20260110-soon"),
        ("StudyDate", "-"),
        ("StudyTime", "noon"),
        ("StudyDate", "20261340"),
        ("StudyTime", "99"),
        ("StudyInstanceUID", "1.2*"),
        ("SeriesDate", "10.1.2026"),
        ("PatientWeight", "70 kg"),
    ],
)
def test_what_no_attribute_can_have_is_refused(keyword: str, value: str) -> None:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.add_new(tag(keyword), "LO", value)  # else pydicom refuses it here
    asked[tag(keyword)].VR = str(vr_of(tag(keyword)))
    with pytest.raises(UsageError) as caught:
        Question.parse(asked, "STUDY")
    assert len(str(caught.value)) <= 64, "an Error Comment"
    assert len(value) == 1 or value not in str(caught.value)


@pytest.mark.parametrize(
    ("identifier", "root"),
    [
        (Dataset(), "STUDY"),
        (query("PATIENT"), "STUDY"),
        (query("FRAME"), "PATIENT"),
        (query("SERIES"), "STUDY"),
        (query("SERIES", StudyInstanceUID=""), "STUDY"),
        (query("SERIES", StudyInstanceUID="*"), "STUDY"),
        (query("IMAGE", StudyInstanceUID="1.2"), "STUDY"),
        (query("STUDY"), "PATIENT"),
        (query("STUDY", PatientID="*"), "PATIENT"),
    ],
)
def test_a_query_without_its_level_or_keys_above_is_refused(
    identifier: Dataset, root: QueryRoot
) -> None:
    with pytest.raises(UsageError) as caught:
        Question.parse(identifier, root)
    assert caught.value.dicom_status == 0xA900


def test_a_key_that_is_no_value_of_its_vr_is_refused_without_naming_it() -> None:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, query())
    out.write(b"\x28\x00\x10\x00\x03\x00\x00\x00odd")
    out.seek(0)
    with pytest.raises(UsageError, match=r"\(0028,0010\)") as caught:
        Question.parse(read_dataset(out, True, True), "STUDY")
    assert "odd" not in str(caught.value)


def test_a_name_in_another_character_set_is_read() -> None:
    asked = query(PatientName="Müller*")
    asked.SpecificCharacterSet = "ISO_IR 100"
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, asked)
    out.seek(0)
    question = Question.parse(read_dataset(out, True, True), "STUDY")
    assert texts(question.keys, "PatientName") == ["Müller*"]


def test_a_selection_lists_the_uids_of_its_level() -> None:
    chosen = Selection.parse(
        query("IMAGE", StudyInstanceUID="1", SeriesInstanceUID="2", SOPInstanceUID="3\\4"), "STUDY"
    )
    assert chosen == Selection("IMAGE", (), ("1",), ("2",), ("3", "4"))
    whole = Selection.parse(query("STUDY", PatientID="P", StudyInstanceUID="1\\2"), "PATIENT")
    assert whole == Selection("STUDY", ("P",), ("1", "2"), (), ())


@pytest.mark.parametrize("keys", [{}, {"StudyInstanceUID": ""}, {"StudyInstanceUID": "*"}])
def test_a_selection_needs_the_key_of_its_level(keys: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="0020,000D"):
        Selection.parse(query("STUDY", **keys), "STUDY")


def test_a_relational_selection_needs_the_key_of_its_level_alone() -> None:
    relational = SearchOptions(relational=True)
    chosen = Selection.parse(query("IMAGE", SOPInstanceUID="3\\4"), "STUDY", relational)
    assert chosen == Selection("IMAGE", (), (), (), ("3", "4"))
    chosen = Selection.parse(query("STUDY", StudyInstanceUID="1"), "PATIENT", relational)
    assert chosen == Selection("STUDY", (), ("1",), (), ())
    chosen = Selection.parse(
        query("SERIES", SeriesInstanceUID="2", PatientID="P"), "PATIENT", relational
    )
    assert chosen == Selection("SERIES", ("P",), (), ("2",), ())
    with pytest.raises(UsageError, match="0020,000E"):
        Selection.parse(query("SERIES", StudyInstanceUID="1"), "STUDY", relational)
    for keys in ({}, {"SOPInstanceUID": "*"}, {"SOPInstanceUID": ""}):
        with pytest.raises(UsageError, match="0008,0018"):
            Selection.parse(query("IMAGE", **keys), "STUDY", relational)


def test_a_night_is_a_range_of_a_date_and_a_time() -> None:
    combined = SearchOptions(combined=True)
    night = query(StudyDate="20260101-20260102", StudyTime="2200-0600")
    assert Question.parse(night, "STUDY", combined).options is combined
    with pytest.raises(UsageError, match="0008,0030"):
        Question.parse(night, "STUDY")
    for date, time in (("20260101-20260101", "2200-0600"), ("20260101-20260102", "2500-0600")):
        with pytest.raises(UsageError):
            Question.parse(query(StudyDate=date, StudyTime=time), "STUDY", combined)
