from pathlib import Path

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.former import MOST
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId

STUDY = StudyId(b"1" * 16)


def _record(description: str, version: int = 0) -> StudyRecord:
    return StudyRecord(
        STUDY, "1.2", {tag("StudyDescription"): entry("LO", description)}, (), version
    )


def test_what_a_study_was_is_kept_in_the_index_that_others_follow(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    assert index.former(STUDY) == []
    index.upsert([_record("one")])
    index.upsert([_record("one", version=1)])  # a version more is no other study
    assert index.former(STUDY) == []
    index.upsert([_record("two")])
    index.remove([STUDY])
    index.remove([STUDY])
    assert index.former(STUDY) == [_record("one", version=1), _record("two")]
    index.close()


def test_a_follower_keeps_nothing(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    for number, description in enumerate(["one", "two"]):
        index.apply([_record(description)], number)
    assert index.former(STUDY) == []
    index.close()


def test_what_changed_too_often_may_have_been_anything(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    for number in range(MOST):
        index.upsert([_record(str(number))])
        assert index.former(STUDY) is not None
    index.upsert([_record("once more")])
    assert index.former(STUDY) is None
    index.close()


def test_followers_of_an_index_of_before_start_anew_once(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    index.upsert([_record("one")])
    with index._database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE catalogue_former")
        connection.exec_driver_sql("DELETE FROM catalogue_state WHERE name = 'former'")
    position = index.seq
    index.close()
    for resets in (True, False):
        index = CatalogueIndex(tmp_path / "catalogue.db")
        page = index.since(position)
        assert page.reset is resets
        assert len(page.entries) == resets
        position = page.until
        index.close()
