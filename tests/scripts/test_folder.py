"""A script works in a folder of its own and leaves in order when it is told to."""

import os
import signal
from pathlib import Path

import pytest
import trio
import trio.testing

from scripts import folder


def test_the_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with (
        folder.work_folder("run", root=tmp_path) as made,
        folder.work_folder("run", root=tmp_path) as other,
    ):
        assert made != other
        assert made.parent == tmp_path / "run"
        (made / "file").touch()
    assert not (tmp_path / "run").exists()


def test_the_folder_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), folder.work_folder("run", root=tmp_path):
        raise RuntimeError
    assert not (tmp_path / "run").exists()


def test_it_can_be_kept(tmp_path: Path) -> None:
    with folder.work_folder("run", keep=True, root=tmp_path) as made:
        pass
    assert made.is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_work_in_order(number: signal.Signals) -> None:
    ended: list[str] = []

    async def work() -> str:
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            ended.append("cleaned up")

    assert trio.run(folder.until_signalled, work) is None
    assert ended == ["cleaned up"]


def test_who_is_impatient_interrupts_no_cleaning_up() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                os.kill(os.getpid(), signal.SIGTERM)
                await trio.testing.wait_all_tasks_blocked(0.01)
            ended.append("cleaned up")

    before = signal.signal(signal.SIGTERM, lambda *_: ended.append("the process was ended"))
    try:
        assert trio.run(folder.until_signalled, work) is None
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == ["cleaned up"]


def test_work_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert trio.run(folder.until_signalled, work) == 7
