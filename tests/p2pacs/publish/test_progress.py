import pytest
import trio

from p2pacs.errors import PacsRefusedError, WrongStudyError
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress, PublishStage


@pytest.fixture
def progress() -> PublishProgress:
    return PublishProgress(StudyId(bytes(16)), "1.2.3")


async def test_whoever_waits_gets_the_first_version(progress: PublishProgress) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(progress.wait_version)
        progress.published(1)
    assert await progress.wait_version() == 1
    assert not progress.over


async def test_a_failure_without_any_version_is_raised(progress: PublishProgress) -> None:
    progress.end(PacsRefusedError("no"))
    with pytest.raises(PacsRefusedError):
        await progress.wait_version()
    with pytest.raises(PacsRefusedError):
        await progress.wait()
    assert progress.stage is PublishStage.FAILED


async def test_a_failure_after_a_version_leaves_it(progress: PublishProgress) -> None:
    progress.published(2)
    progress.end(PacsRefusedError("no"))
    assert await progress.wait_version() == 2
    with pytest.raises(PacsRefusedError):
        await progress.wait()


async def test_what_was_left_out_is_told_but_no_failure(progress: PublishProgress) -> None:
    progress.left(WrongStudyError("another study"))
    progress.published(1)
    progress.end(None)
    await progress.wait()
    assert progress.stage is PublishStage.PUBLISHED
    assert progress.left_out == 1
    assert isinstance(progress.problem, WrongStudyError)


def test_it_prints_no_uid(progress: PublishProgress) -> None:
    assert "1.2.3" not in repr(progress)
