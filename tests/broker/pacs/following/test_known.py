from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from broker.pacs.following.known import ToldStudy, catalogued, is_same
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId

NAMES = ["PatientID", "PatientName", "PatientBirthDate", "StudyDescription", "StudyID"]
VALUES = st.sampled_from(["", "A", "B", "Müller"])
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES), VALUES)


def told(**values: str) -> Json:
    return {tag(name): entry("LO", value) for name, value in values.items()}


def study(attributes: Json, *series: SeriesRecord, version: int = 0) -> StudyRecord:
    return StudyRecord(StudyId(bytes(16)), "1.2", attributes, series, version)


def series(uid: str, **values: str) -> SeriesRecord:
    return SeriesRecord(uid, told(**values), (told(SOPInstanceUID=f"{uid}.1"),))


# ---------------------------------------------------------------- what the catalogue keeps


@given(ATTRIBUTES, st.integers(0, 2))
def test_the_catalogue_keeps_no_instances_and_of_a_header_that_it_is_empty(
    values: dict[str, str], version: int
) -> None:
    record = study(told(**values), series("1.2.1", Modality="CT", BodyPartExamined=""))
    record = evolve(record, version=version)
    kept = catalogued(record)
    assert catalogued(kept) == kept
    assert kept.series[0].instances == ()
    for name, value in values.items():
        assert (tag(name) in kept.attributes) == bool(value or version)
    assert (tag("BodyPartExamined") in kept.series[0].attributes) == bool(version)


# ---------------------------------------------------------------- what is told over what is known


def test_what_is_not_known_is_kept_as_it_is_told() -> None:
    record = study(told(PatientID="A"), series("1.2.1"))
    assert ToldStudy(record).over(None) is record


@given(ATTRIBUTES, ATTRIBUTES, st.integers(0, 3), st.integers(0, 3))
def test_no_version_is_forgotten_and_what_headers_said_counts(
    now: dict[str, str], before: dict[str, str], version: int, known: int
) -> None:
    record = study(told(**now), version=version)
    kept = ToldStudy(record).over(study(told(**before), version=known))
    assert kept.version == max(version, known)
    if version or not known:
        assert kept.attributes == record.attributes


@given(ATTRIBUTES, ATTRIBUTES)
def test_of_another_patient_nothing_that_was_known_stays(
    now: dict[str, str], before: dict[str, str]
) -> None:
    now, before = {**now, "PatientID": "NEW"}, {**before, "PatientID": "OLD"}
    kept = ToldStudy(study(told(**now))).over(study(told(**before), version=1)).attributes
    for name in ("PatientID", "PatientName", "PatientBirthDate"):
        assert text(kept, name) == now.get(name, "")
    if "StudyDescription" in before and not now.get("StudyDescription"):
        assert text(kept, "StudyDescription") == before["StudyDescription"]


def test_a_name_that_lost_its_characters_is_told_as_the_headers_have_it() -> None:
    known = study(told(PatientID="A", PatientName="Жуков^Иван"), version=1)
    for lost in ("^", "?????^????", ""):
        record = study(told(PatientID="A", PatientName=lost))
        assert text(ToldStudy(record).over(known).attributes, "PatientName") == "Жуков^Иван"
    corrected = study(told(PatientID="A", PatientName="Schukow^Iwan"))
    assert text(ToldStudy(corrected).over(known).attributes, "PatientName") == "Schukow^Iwan"


def test_series_that_are_not_listed_are_gone_unless_some_are_held_back() -> None:
    known = study({}, series("1.2.1"), series("1.2.2", SeriesDescription="known"), version=1)
    record = study({}, series("1.2.1"), series("1.2.3"))
    listed = ToldStudy(record).over(known)
    assert [one.uid for one in listed.series] == ["1.2.1", "1.2.3"]
    more = ToldStudy(record, held_back=True).over(known)
    assert [one.uid for one in more.series] == ["1.2.1", "1.2.3", "1.2.2"]
    assert text(more.series[2].attributes, "SeriesDescription") == "known"


# ---------------------------------------------------------------- whether it is the same


@given(ATTRIBUTES, ATTRIBUTES)
def test_the_same_is_what_is_told_alike(now: dict[str, str], before: dict[str, str]) -> None:
    alike = all(now.get(name, "") == before.get(name, "") for name in NAMES)
    assert is_same(study(told(**before)), told(**now)) == alike


def test_a_count_that_is_not_told_is_no_change_and_another_one_is() -> None:
    known = study(told(PatientID="A", NumberOfStudyRelatedInstances="3"))
    assert is_same(known, told(PatientID="A"))
    assert not is_same(known, told(PatientID="A", NumberOfStudyRelatedInstances="4"))
    counts = frozenset({tag("NumberOfStudyRelatedInstances")})
    assert is_same(known, told(PatientID="A", NumberOfStudyRelatedInstances="4"), counts)


def test_less_than_the_headers_say_is_no_change_of_a_published_study_alone() -> None:
    values = told(PatientID="A", PatientName="Жуков", StudyDescription="Schädel")
    less = told(PatientID="A", PatientName="?????", StudyDescription="")
    assert is_same(study(values, version=1), less)
    assert not is_same(study(values), less)
    assert not is_same(study(values, version=1), told(PatientID="A", PatientName="Other"))
