import hypothesis.strategies as st
import pytest
from hypothesis import given

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import Json, entry, tag
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description

UID = "1.2.3"
IN_STUDY = "NumberOfStudyRelatedInstances"
IN_SERIES = "NumberOfSeriesRelatedInstances"


def said(keyword: str, count: int | None) -> Json:
    return {} if count is None else {tag(keyword): entry("IS", str(count))}


def series(
    count: int | None = None, uids: tuple[str, ...] = (), patient: str | None = None
) -> SeriesRecord:
    attributes = said(IN_SERIES, count)
    if patient is not None:
        attributes[tag("PatientID")] = entry("LO", patient)
    instances = tuple({tag("SOPInstanceUID"): entry("UI", uid)} for uid in uids)
    return SeriesRecord(f"{UID}.1", attributes, instances)


COUNTS = st.none() | st.integers(0, 5000)


@given(st.lists(st.integers(0, 5000), min_size=1), COUNTS)
def test_what_all_series_say_counts_whatever_the_study_says(
    counts: list[int], told: int | None
) -> None:
    """A PACS counts a study when it likes, its series when they change."""
    listed = tuple(series(count) for count in counts)
    assert Description(UID, said(IN_STUDY, told), listed).count == sum(counts)


@given(st.lists(COUNTS, min_size=1), COUNTS, st.integers(1, 9))
def test_nothing_is_counted_away_where_series_were_held_back(
    counts: list[int | None], told: int | None, untold: int
) -> None:
    listed = tuple(series(count) for count in counts)
    found = Description(UID, said(IN_STUDY, told), listed, untold).count
    known = [count for count in counts if count is not None]
    if len(known) == len(counts):
        assert found == max(sum(known), told or 0)
    else:
        assert found == told, "a sum over some of its series is no count of a study"


@pytest.mark.parametrize("told", [None, 0, 12])
def test_without_series_the_study_says_it(told: int | None) -> None:
    assert Description(UID, said(IN_STUDY, told), ()).count == told


def test_two_instances_under_one_uid_are_listed_twice_and_found_once() -> None:
    found = Description(UID, {}, (series(uids=("1.1", "1.2")), series(uids=("1.2", "1.3"))))
    assert found.listed == 4
    assert list(found.instances) == ["1.1", "1.2", "1.3"]


def test_a_series_that_names_a_patient_of_its_own_is_of_another() -> None:
    assert not Description(UID, {}, (series(), series(patient=""))).has_several_patients
    assert Description(UID, {}, (series(), series(patient="B"))).has_several_patients


def test_nothing_of_a_patient_is_in_its_representation() -> None:
    named = Description(UID, {tag("PatientID"): entry("LO", "DOE")}, (series(patient="DOE"),))
    assert (UID in repr(named), "DOE" in repr(named)) == (False, False)


def test_it_becomes_a_record_of_the_catalogue() -> None:
    study = StudyId(bytes(range(16)))
    found = Description(UID, said(IN_STUDY, 3), (series(3),))
    record = found.record(study, 7)
    assert (record.study, record.uid, record.version) == (study, UID, 7)
    assert (record.attributes, record.series) == (found.attributes, found.series)
