import pytest
import trio

from broker.pacs.following.failing import Failing, FailingTuning
from p2pacs.errors import (
    DeadlineError,
    PacsDataError,
    PacsError,
    PacsRefusedError,
    PacsUnreachableError,
)
from p2pacs.ids import StudyId

REFUSED = PacsRefusedError("HTTP status 500")
STUDY = StudyId(bytes(16))


async def alive() -> None:
    await trio.lowlevel.checkpoint()


async def away() -> None:
    await trio.lowlevel.checkpoint()
    raise PacsUnreachableError("refused")


def study(number: int) -> StudyId:
    return StudyId(number.to_bytes(16, "big"))


async def test_a_study_that_fails_is_passed_over_longer_and_longer(autojump_clock: object) -> None:
    failing = Failing(alive, FailingTuning(first_seconds=60, longest_seconds=200))
    assert not failing.passes_over(STUDY)
    for pause in (60, 120, 200, 200):
        failing.begin()
        await failing.note(STUDY, REFUSED)
        await trio.sleep(pause - 1)
        assert failing.passes_over(STUDY)
        await trio.sleep(2)
        assert not failing.passes_over(STUDY)
    failing.told(STUDY)
    failing.begin()
    await failing.note(STUDY, REFUSED)
    await trio.sleep(61)
    assert not failing.passes_over(STUDY)


@pytest.mark.parametrize("error", [REFUSED, PacsDataError("no JSON"), DeadlineError("hung")])
async def test_a_pacs_that_is_away_is_no_failure_of_a_study(error: PacsError) -> None:
    failing = Failing(away)
    with pytest.raises(PacsUnreachableError):
        await failing.note(STUDY, error)
    assert not failing.passes_over(STUDY)


async def test_a_connection_that_broke_is_no_failure_of_a_study() -> None:
    failing = Failing(alive)
    with pytest.raises(PacsUnreachableError):
        await failing.note(STUDY, PacsUnreachableError("reset"))
    assert not failing.passes_over(STUDY)


@pytest.mark.parametrize(("error", "most"), [(REFUSED, 5), (DeadlineError("hung"), 2)])
async def test_a_pacs_that_fails_at_many_studies_ends_the_look(error: PacsError, most: int) -> None:
    failing = Failing(alive, FailingTuning(failures=5, hangs=2))
    for begun in range(2):
        failing.begin()
        for number in range(1, most):
            await failing.note(study(10 * begun + number), error)
        with pytest.raises(type(error)):
            await failing.note(study(10 * begun), error)
        assert failing.passes_over(study(10 * begun)), "the next look comes further"
