from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.elements import CHARACTER_SET, from_dataset
from p2pacs.dataset.json_model import dump, entry, load, number, text, texts
from p2pacs.dataset.vocabulary import HEADER_TAGS, tag
from p2pacs.ids import StudyId
from p2pacs.publish.headers import with_headers
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry
from tests.p2pacs.catalogue.samples import attributes
from tests.p2pacs.study import samples


def entry_of(number: int, series: str = "1.1", **more: object) -> InstanceEntry:
    made = samples.dataset(number, **more)
    return InstanceEntry(
        samples.CT, f"1.2.{number}", series, samples.EXPLICIT, bytes(32), 1, (),
        dump(from_dataset(made, HEADER_TAGS) | {CHARACTER_SET: entry("CS", "ISO_IR 192")}),
    )  # fmt: skip


def told(*series: SeriesRecord, **more: tuple[str, str]) -> Description:
    return Description("1", attributes(StudyInstanceUID=("UI", "1"), **more), series)


def view(described: Description) -> dict[str, dict[str, object]]:
    return study_view(StudyRecord(StudyId(bytes(16)), "1", described.attributes, described.series))


def test_what_the_source_does_not_tell_is_known_once_published() -> None:
    entries = [entry_of(n, PatientWeight="70.50", PatientPosition="HFS") for n in range(3)]
    entries += [entry_of(n, "1.2", BodyPartExamined="HEAD") for n in range(3, 5)]
    listed = SeriesRecord("1.1", attributes(Modality=("CS", "MR"), PatientPosition=("CS", "")))
    known = with_headers(told(listed, SeriesRecord("1.2", {})), entries)
    assert number(view(known), "NumberOfStudyRelatedInstances") == 5
    assert text(known.attributes, "PatientWeight") == "70.50"
    assert texts(known.attributes, "SOPClassesInStudy") == [samples.CT]
    first, second = known.series
    assert text(first.attributes, "Modality") == "MR", "the source's word counts"
    assert text(first.attributes, "PatientPosition") == "HFS"
    assert text(second.attributes, "BodyPartExamined") == "HEAD"
    assert number(second.attributes, "NumberOfSeriesRelatedInstances") == 2
    assert not known.has_several_patients


def test_counts_of_the_source_are_its_own() -> None:
    series = SeriesRecord("1.1", attributes(NumberOfSeriesRelatedInstances=("IS", "9")))
    known = with_headers(told(series), [entry_of(1)])
    assert number(view(known), "NumberOfStudyRelatedInstances") == 9


def test_a_source_without_series_level_has_those_of_the_instances() -> None:
    known = with_headers(told(), [entry_of(1), entry_of(2, "1.2")])
    assert [series.uid for series in known.series] == ["1.1", "1.2"]


def test_series_that_the_source_holds_back_are_those_of_the_instances() -> None:
    entries = [entry_of(1), entry_of(2, "1.2", BodyPartExamined="HEAD")]
    listed = SeriesRecord("1.1", attributes(Modality=("CS", "MR")))
    assert [one.uid for one in with_headers(told(listed), entries).series] == ["1.1"]
    known = with_headers(evolve(told(listed), untold=1), entries)
    assert [one.uid for one in known.series] == ["1.1", "1.2"]
    assert text(known.series[1].attributes, "BodyPartExamined") == "HEAD"
    assert number(known.series[1].attributes, "NumberOfSeriesRelatedInstances") == 1


def test_patients_that_the_source_does_not_tell() -> None:
    entries = [entry_of(1, PatientID="PA"), entry_of(2, "1.2", PatientID="PB", PatientSex="M")]
    listed = (SeriesRecord("1.1", {}), SeriesRecord("1.2", {}))
    known = with_headers(told(*listed, PatientID=("LO", "PA")), entries)
    assert [text(series.attributes, "PatientID") for series in known.series] == ["", "PB"]
    assert text(known.series[1].attributes, "PatientSex") == "M"


def test_a_patient_that_was_corrected_in_the_pacs_alone() -> None:
    """Its database says P1, the files still say 77: no second patient, and nothing of the other."""
    listed, one = SeriesRecord("1.1", {}), entry_of(1, PatientID="77", StudyDate="20260101")
    known = with_headers(told(listed, PatientID=("LO", "P1")), [one])
    assert text(known.attributes, "PatientID") == "P1"
    assert not text(known.attributes, "PatientName")
    assert not known.has_several_patients
    assert text(known.attributes, "StudyDate")


def test_instances_that_tell_nothing() -> None:
    broken = evolve(entry_of(1), json=b"no JSON")
    known = with_headers(told(SeriesRecord("1.1", {})), [broken])
    assert number(view(known), "NumberOfStudyRelatedInstances") == 1
    assert with_headers(told(), []) == told()


def test_names_and_descriptions_that_the_source_mangled_are_those_of_the_headers() -> None:
    russian = entry_of(1, PatientName="Люк^Иван", StudyDescription="Голова", SeriesDescription="Ш")
    mangled = SeriesRecord("1.1", attributes(SeriesDescription=("LO", "?")))
    study = told(
        mangled, PatientName=("PN", "^"), StudyDescription=("LO", "??????"), PatientID=("LO", "")
    )
    known = with_headers(study, [russian])
    assert text(known.attributes, "PatientName") == "Люк^Иван"
    assert text(known.attributes, "StudyDescription") == "Голова"
    assert text(known.series[0].attributes, "SeriesDescription") == "Ш"


def test_what_headers_do_not_have_is_known_to_be_empty() -> None:
    listed, one = SeriesRecord("1.1", {}), entry_of(1)
    known = with_headers(told(listed), [one])
    assert known.attributes[tag("PatientWeight")] == {"vr": "DS"}
    assert known.series[0].attributes[tag("BodyPartExamined")] == {"vr": "CS"}
    old = load(one.json)
    del old[CHARACTER_SET]  # an index of version 0.1, which did not tell all
    known = with_headers(told(listed), [evolve(one, json=dump(old))])
    assert tag("PatientWeight") not in known.attributes
