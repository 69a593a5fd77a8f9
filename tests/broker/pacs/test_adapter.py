import pytest

from broker.pacs.adapter import is_uid
from p2pacs.ids import StudyId

from .samples import described


def test_a_description_lists_its_instances_and_becomes_a_record() -> None:
    study = described(a=2, b=1)
    assert list(study.instances) == ["1.a.0", "1.a.1", "1.b.0"]
    record = study.record(StudyId(bytes(16)), 3)
    assert (record.uid, record.version, len(record.series)) == ("1", 3, 2)


def test_a_description_prints_no_uid() -> None:
    assert "1.a" not in repr(described(a=2))


@pytest.mark.parametrize(
    ("text", "fine"),
    [("1.2.840", True), ("", False), ("1/2", False), ("1" * 65, False), ("1.2\n", False)],
)
def test_what_may_stand_in_a_url(text: str, fine: bool) -> None:
    assert is_uid(text) is fine
