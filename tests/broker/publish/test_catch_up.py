from broker.publish.catch_up import catch_up
from broker.study_keys import Study
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import DatabaseLockedError
from p2pacs.ids import StudyId


def published(number: int, version: int) -> Study:
    return Study(StudyId(bytes([number] * 16)), f"1.2.{number}", version, complete=True)


def record(study: Study, version: int) -> StudyRecord:
    return StudyRecord(study.study, study.uid, {}, (), version)


async def test_what_the_catalogue_has_not_heard_of_is_staged() -> None:
    known, older, unlisted = published(1, 3), published(2, 3), published(3, 1)
    catalogue = {known.study: record(known, 3), older.study: record(older, 2)}
    staged: list[str] = []
    await catch_up([known, older, unlisted], catalogue.get, staged.append)
    assert staged == [older.uid]


async def test_a_catalogue_that_is_locked_is_waited_for(autojump_clock: object) -> None:
    one, tries = published(1, 2), 0

    def locked(_study: StudyId) -> StudyRecord:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise DatabaseLockedError("by another program")
        return record(one, 1)

    staged: list[str] = []
    await catch_up([one], locked, staged.append)
    assert staged == [one.uid]
