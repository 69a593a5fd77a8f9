from collections.abc import Callable
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

T = TypeVar("T")


@pytest.fixture
def virtual(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Virtual time that waits for work: what runs in threads elsewhere runs at once here."""

    async def inline(work: Callable[..., T], *args: object, **_options: object) -> T:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", inline)
    return autojump_clock
