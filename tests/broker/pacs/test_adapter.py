from p2pacs.ids import StudyId

from .samples import described


def test_a_description_lists_its_instances_and_becomes_a_record() -> None:
    study = described(a=2, b=1)
    assert list(study.instances) == ["1.a.0", "1.a.1", "1.b.0"]
    record = study.record(StudyId(bytes(16)), 3)
    assert (record.uid, record.version, len(record.series)) == ("1", 3, 2)


def test_a_description_prints_no_uid() -> None:
    assert "1.a" not in repr(described(a=2))
