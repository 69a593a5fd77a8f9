import trio

from broker.pacs.adapter import Found
from broker.pacs.queries.described import described, study_among
from broker.pacs.queries.keys import PATIENT_KEYS
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag


def told(**values: str) -> Json:
    return {tag(name): entry("LO", value) for name, value in values.items()}


STUDY = told(StudyInstanceUID="1.2", PatientID="A", NumberOfStudyRelatedSeries="2")
SERIES = Found([told(SeriesInstanceUID="1.2.1"), told(SeriesInstanceUID="1.2.2")])


async def listed(series: str) -> Found:
    await trio.lowlevel.checkpoint()
    return Found([told(SOPInstanceUID=f"{series}.{n}") for n in (1, 2)])


def test_a_study_is_looked_for_among_what_was_answered() -> None:
    other = told(StudyInstanceUID="1.3", PatientID="B")
    assert study_among([other, STUDY], "1.2") == (STUDY, ())
    assert study_among([other], "1.2") is None
    assert study_among([], "1.2") is None


def test_of_a_study_of_several_patients_series_are_asked_whose_they_are() -> None:
    second = told(StudyInstanceUID="1.2", PatientID="B", NumberOfStudyRelatedSeries="1")
    found = study_among([STUDY, second], "1.2")
    assert found is not None
    attributes, more = found
    assert more == PATIENT_KEYS
    assert text(attributes, "NumberOfStudyRelatedSeries") == "3"


async def test_instances_are_listed_if_they_are_asked_for() -> None:
    with_them = await described("1.2", STUDY, SERIES, (), listed)
    assert list(with_them.instances) == ["1.2.1.1", "1.2.1.2", "1.2.2.1", "1.2.2.2"]
    without = await described("1.2", STUDY, SERIES, (), None)
    assert [one.uid for one in without.series] == ["1.2.1", "1.2.2"]
    assert without.listed == without.untold == with_them.untold == 0


async def test_what_is_held_back_is_counted_at_every_level() -> None:
    async def cut(series: str) -> Found:
        await trio.lowlevel.checkpoint()
        return Found([told(SOPInstanceUID=f"{series}.1")], is_cut=True, untold=3)

    one = Found(SERIES.usable[:1], is_cut=True, untold=0)
    assert (await described("1.2", STUDY, one, (), None)).untold == 2  # it says so; one is missed
    assert (await described("1.2", STUDY, SERIES, (), cut)).untold == 8


async def test_of_several_patients_the_count_of_series_is_of_one_alone() -> None:
    one = Found(SERIES.usable[:1])
    assert (await described("1.2", STUDY, one, PATIENT_KEYS, None)).untold == 0


async def test_a_series_has_its_patient_if_that_is_another_one() -> None:
    series = Found(
        [
            told(SeriesInstanceUID="1.2.1", PatientID="A"),
            told(SeriesInstanceUID="1.2.2", PatientID="B"),
        ]
    )
    found = await described("1.2", STUDY, series, PATIENT_KEYS, None)
    assert [text(one.attributes, "PatientID") for one in found.series] == ["", "B"]
    assert found.has_several_patients
