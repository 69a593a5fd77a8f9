import io
import os
import signal
import sys

import pytest
import trio

from p2pacs.errors import BusyError
from p2pacs.process.stopping import run_until_stopped, tell_ready
from tests.p2pacs.process.test_logs import FullDisk


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: signal.Signals) -> None:
    ended: list[str] = []

    async def work(stop: trio.Event) -> None:
        os.kill(os.getpid(), number)
        await stop.wait()
        ended.append("in order")

    run_until_stopped(work)
    assert ended == ["in order"]


def test_the_second_signal_cancels() -> None:
    async def work(stop: trio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    run_until_stopped(work)


def test_the_error_comes_out_of_its_group() -> None:
    async def work(_stop: trio.Event) -> None:
        async with trio.open_nursery():
            raise BusyError("later")

    with pytest.raises(BusyError, match="later"):
        run_until_stopped(work)


def test_other_errors_stay_what_they_are() -> None:
    async def work(_stop: trio.Event) -> None:
        raise KeyError("bug")

    with pytest.raises(ExceptionGroup):
        run_until_stopped(work)


def test_what_cannot_be_told_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    tell_ready("ready")
    assert said.getvalue() == "ready\n"
    monkeypatch.setattr(sys, "stdout", FullDisk())
    tell_ready("lost")
