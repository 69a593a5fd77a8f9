from collections.abc import Sequence
from pathlib import Path

import trio
from trio.testing import MockClock

from p2pacs.doctor.examination import SECONDS, PlannedCheck, examine, failed, good, look_at, runs
from p2pacs.errors import PacsUnreachableError
from p2pacs.process.health import Health, HealthCheck


def _planned(name: str, error: Exception | None = None) -> PlannedCheck:
    async def look() -> Sequence[HealthCheck]:
        if error is not None:
            raise error
        return [good(name, "Well.")]

    return PlannedCheck(name, look)


async def test_one_that_fails_stops_no_other() -> None:
    planned = [
        _planned("a"),
        _planned("b", PacsUnreachableError("it is away: start it")),
        _planned("c", OSError(28, "No space left on device")),
        _planned("d", ValueError("of a stranger")),
        _planned("e", ExceptionGroup("", [PacsUnreachableError("gone: look for it")])),
        _planned("f"),
    ]
    checks = await examine(planned)
    assert [one.name for one in checks] == list("abcdef")
    assert [one.state for one in checks] == [
        Health.GOOD,
        *[Health.BAD] * 4,
        Health.GOOD,
    ]
    assert (checks[1].what, checks[1].advice) == ("It is away.", "Start it.")
    assert checks[2].what == "No space left on device."
    assert "stranger" not in checks[3].what
    assert (checks[4].what, checks[4].advice) == ("Gone.", "Look for it.")


async def test_one_that_hangs_has_a_deadline(autojump_clock: MockClock) -> None:
    async def hang() -> Sequence[HealthCheck]:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    checks = await examine([PlannedCheck("x", hang), _planned("y"), PlannedCheck("z", hang)])
    assert trio.current_time() - began == SECONDS
    assert [one.state for one in checks] == [Health.BAD, Health.GOOD, Health.BAD]
    assert "20 s" in checks[0].what


def test_advice_of_ones_own_replaces_that_of_the_error() -> None:
    check = failed("x", "the file is wrong: mend it", "Do that.")
    assert (check.what, check.advice) == ("The file is wrong: mend it.", "Do that.")


def test_that_it_runs_or_not_is_said() -> None:
    assert runs(Path("d"), "peer", running=True) == good("Program", "It runs.")
    stopped = runs(Path("d"), "peer", running=False)
    assert stopped == look_at("Program", "It does not run.", stopped.advice)
    assert stopped.advice.endswith("p2pacs peer run d")
