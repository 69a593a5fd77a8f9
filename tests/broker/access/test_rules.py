import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access.rules import ALL, NONE, Rule, allows, parse_rule
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId

CT = StudyRecord(
    StudyId(bytes(16)),
    "1.2.3",
    {
        tag("StudyDate"): entry("DA", "20260315"),
        tag("InstitutionName"): entry("LO", "North, General"),
        tag("PatientName"): entry("PN", {"Alphabetic": "DOE^JANE"}),
        tag("AccessionNumber"): entry("SH"),
    },
    (
        SeriesRecord("1.2.3.1", {tag("Modality"): entry("CS", "CT")}),
        SeriesRecord("1.2.3.2", {tag("Modality"): entry("CS", "SR")}),
    ),
)
OLD = StudyRecord(
    StudyId(bytes(15) + b"1"), "1.2.4", {tag("ModalitiesInStudy"): entry("CS", "MR", "PR")}
)


@pytest.mark.parametrize(
    ("text", "ct", "old"),
    [
        ("all", True, True),
        (" ALL ", True, True),
        ("none", False, False),
        ("Modality=CT", True, False),
        ("Modality=MR", False, True),
        ("Modality=CT,MR", True, True),
        ("Modality=SR; StudyDate=20260101-", True, False),
        ("Modality=SR; StudyDate=-20251231", False, False),
        ("StudyDate=20260101-20261231", True, False),
        ("InstitutionName=North*", True, False),
        ('InstitutionName="North, General"', True, False),
        ("InstitutionName=North", False, False),
        ("PatientName=doe^jane", True, False),
        ("Modality=MR | InstitutionName=?orth*", True, True),
        ("Modality=CT; InstitutionName=South* | Modality=PR", False, True),
        ("AccessionNumber=?*", False, False),
        (' Modality = CT , "MR" ; StudyDate = 20260315 ', True, False),
    ],
)
def test_rules(text: str, ct: bool, old: bool) -> None:
    rule = parse_rule(text)
    assert allows(rule, CT) is ct
    assert allows(rule, OLD) is old
    assert parse_rule(str(rule)).alternatives == rule.alternatives


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "all, none or conditions"),
        ("everything", "position 1: 'everything' is no DICOM keyword"),
        ("Modality", "position 9: expected = after Modality"),
        ("Modality=", "position 10: expected a value for Modality"),
        ("Modality=CT,", "position 13: expected a value for Modality"),
        ("Modality=CT;", "position 13: expected a DICOM keyword"),
        ("Modality=CT; Color=red", "position 14: 'Color' is no DICOM keyword"),
        ("Modality=CT | | Modality=MR", "position 15: expected a DICOM keyword"),
        ("Modality=CT=MR", "position 12: expected , ; | or the end"),
        ('Modality="CT', "position 10: expected a value for Modality"),
        ('Modality="CT" MR', "position 15: expected , ; | or the end"),
        ("StudyDate=yesterday", "position 11: 'yesterday' is no date"),
        ("InstitutionName=*", r"position 17: '\*' matches every study"),
        ('InstitutionName=" "', "position 19: expected a value"),
        ("Modality=CT\\MR", "position 10: several values are separated by commas"),
        ("SOPInstanceUID=1.2", "position 1: 'SOPInstanceUID' is no DICOM keyword"),
        ("NumberOfPatientRelatedStudies=1", "is no DICOM keyword of patient, study or series that"),
        ("PixelSpacing=1", "position 1: 'PixelSpacing' is no DICOM keyword"),
        ("RequestAttributesSequence=1", "position 27: RequestAttributesSequence is a sequence"),
        ("Modality=" + "x" * 5000, "all, none or conditions"),
    ],
)
def test_errors_name_the_position(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_rule(text)


@given(st.text(alphabet='Modality=CT,MR;|" *?\\a1-'))
def test_any_text_is_a_rule_or_a_usage_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except UsageError:
        return
    assert isinstance(allows(rule, CT), bool)
    assert rule in (ALL, NONE) or rule.alternatives


def test_a_study_of_two_patients_may_be_read_for_either() -> None:
    other = {tag("PatientID"): entry("LO", "PB"), tag("Modality"): entry("CS", "CT")}
    mixed = StudyRecord(
        StudyId(bytes(16)),
        "1.2",
        {tag("PatientID"): entry("LO", "PA")},
        (SeriesRecord("1", {}), SeriesRecord("2", other)),
    )
    assert [allows(parse_rule(f"PatientID={one}"), mixed) for one in ("PA", "PB", "PC")] == [
        True,
        True,
        False,
    ]


def test_nothing_is_allowed_by_default() -> None:
    assert not allows(Rule("?"), CT)
