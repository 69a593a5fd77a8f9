import pytest
import trio

from broker.publish import PublishProgress, PublishStage
from p2pacs.errors import PacsRefusedError, WrongStudyError
from p2pacs.ids import StudyId


@pytest.fixture
def staging() -> PublishProgress:
    return PublishProgress(StudyId(bytes(16)), "1.2.3")


async def test_whoever_waits_gets_the_first_version(staging: PublishProgress) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(staging.wait_version)
        staging.published(1)
    assert await staging.wait_version() == 1
    assert not staging.over


async def test_a_failure_without_any_version_is_raised(staging: PublishProgress) -> None:
    staging.end(PacsRefusedError("no"))
    with pytest.raises(PacsRefusedError):
        await staging.wait_version()
    with pytest.raises(PacsRefusedError):
        await staging.wait()
    assert staging.stage is PublishStage.FAILED


async def test_a_failure_after_a_version_leaves_it(staging: PublishProgress) -> None:
    staging.published(2)
    staging.end(PacsRefusedError("no"))
    assert await staging.wait_version() == 2
    with pytest.raises(PacsRefusedError):
        await staging.wait()


async def test_what_was_left_out_is_told_but_no_failure(staging: PublishProgress) -> None:
    staging.left(WrongStudyError("another study"))
    staging.published(1)
    staging.end(None)
    await staging.wait()
    assert staging.stage is PublishStage.PUBLISHED
    assert staging.left_out == 1
    assert isinstance(staging.problem, WrongStudyError)


def test_it_prints_no_uid(staging: PublishProgress) -> None:
    assert "1.2.3" not in repr(staging)
