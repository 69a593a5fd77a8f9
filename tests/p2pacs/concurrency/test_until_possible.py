"""A full disk and a locked database are waited out; what else goes wrong is not."""

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from p2pacs.concurrency.until_possible import PAUSE_SECONDS, until_possible
from p2pacs.errors import CorruptStoreError, DatabaseLockedError, DiskFullError, LocalError


async def test_a_step_is_tried_until_it_is_possible(
    autojump_clock: trio.testing.MockClock,
) -> None:
    errors: list[LocalError] = [DiskFullError("full"), DatabaseLockedError("locked")]

    async def step() -> str:
        if errors:
            raise errors.pop()
        return "done"

    with capture_logs() as said:
        assert await until_possible(step, "x.db") == "done"
        assert trio.current_time() == pytest.approx(2 * PAUSE_SECONDS)
        assert await until_possible(step, "x.db") == "done"
    assert [one["event"] for one in said] == [
        "waiting until it can be used",
        "it can be used again",
    ]
    errors.append(CorruptStoreError("damaged"))
    with pytest.raises(CorruptStoreError):
        await until_possible(step, "x.db")
