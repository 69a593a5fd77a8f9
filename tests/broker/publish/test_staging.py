import pytest
import trio

from broker.publish import Stage, Staging
from p2pacs.errors import PacsRefusedError, WrongStudyError
from p2pacs.ids import StudyId


@pytest.fixture
def staging() -> Staging:
    return Staging(StudyId(bytes(16)), "1.2.3")


async def test_whoever_waits_gets_the_first_version(staging: Staging) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(staging.wait_version)
        staging.published(1)
    assert await staging.wait_version() == 1
    assert not staging.over


async def test_a_failure_without_any_version_is_raised(staging: Staging) -> None:
    staging.end(PacsRefusedError("no"))
    with pytest.raises(PacsRefusedError):
        await staging.wait_version()
    with pytest.raises(PacsRefusedError):
        await staging.wait()
    assert staging.stage is Stage.FAILED


async def test_a_failure_after_a_version_leaves_it(staging: Staging) -> None:
    staging.published(2)
    staging.end(PacsRefusedError("no"))
    assert await staging.wait_version() == 2
    with pytest.raises(PacsRefusedError):
        await staging.wait()


async def test_what_was_left_out_is_told_but_no_failure(staging: Staging) -> None:
    staging.left(WrongStudyError("another study"))
    staging.published(1)
    staging.end(None)
    await staging.wait()
    assert staging.stage is Stage.PUBLISHED
    assert staging.left_out == 1
    assert isinstance(staging.problem, WrongStudyError)


def test_it_prints_no_uid(staging: Staging) -> None:
    assert "1.2.3" not in repr(staging)
