from broker.pacs.adapter import Found, unlisted
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description
from tests.broker.pacs.samples import described


def test_a_description_lists_its_instances_and_becomes_a_record() -> None:
    study = described(a=2, b=1)
    assert list(study.instances) == ["1.a.0", "1.a.1", "1.b.0"]
    record = study.record(StudyId(bytes(16)), 3)
    assert (record.uid, record.version, len(record.series)) == ("1", 3, 2)


def test_a_description_prints_no_uid() -> None:
    assert "1.a" not in repr(described(a=2))


def test_series_that_are_counted_and_not_listed_are_told() -> None:
    counted = {tag("NumberOfStudyRelatedSeries"): entry("IS", "45")}
    assert unlisted(counted, Found([{}] * 30)) == 15
    assert unlisted(counted, Found([{}] * 45)) == 0
    assert unlisted({}, Found([{}] * 30)) == 0


def test_of_series_that_are_not_counted_their_instances_tell_or_the_look_of_the_answer() -> None:
    study = {tag("NumberOfStudyRelatedInstances"): entry("IS", "200")}
    series = {tag("NumberOfSeriesRelatedInstances"): entry("IS", "2")}
    assert unlisted(study, Found([series] * 99)) == 1
    assert unlisted(study, Found([series] * 100)) == 0
    assert unlisted({}, Found([series] * 100)) == 1
    assert unlisted(study, Found([{}] * 100)) == 1
    assert unlisted({}, Found([series] * 99)) == 0


def test_a_study_whose_series_are_not_all_listed_has_as_many_instances_as_it_counts() -> None:
    counted = {tag("NumberOfStudyRelatedInstances"): entry("IS", "9")}
    of_series = {tag("NumberOfSeriesRelatedInstances"): entry("IS", "2")}
    series = (SeriesRecord("1.1", of_series),)
    assert Description("1", counted, series, untold=3).count == 9
    assert Description("1", counted, series).count == 2
    assert Description("1", {}, series, untold=3).count == 2
