"""Where scripts work: a folder of their own inside the checkout, gone afterwards; and signals."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import trio

ROOT = Path(__file__).parent.parent
T = TypeVar("T")


@contextmanager
def work_folder(name: str, *, keep: bool = False, root: Path = ROOT) -> Iterator[Path]:
    """A new folder below ``name`` in the checkout, removed at the end unless ``keep``."""
    parent = root / name
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="", dir=parent))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # not empty: another run is under way
                parent.rmdir()


async def until_signalled(work: Callable[[], Awaitable[T]]) -> T | None:
    """The result of ``work``; None if Ctrl-C, SIGTERM or SIGHUP came first.

    A signal cancels the work, so that everything that it started is stopped in order. Further ones
    change nothing: one that ended this process would leave what is not stopped yet running.
    """
    scope = trio.CancelScope()

    async def watch(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:
                scope.cancel()

    result = None
    async with trio.open_nursery() as nursery:
        await nursery.start(watch)
        with scope:
            result = await work()
        nursery.cancel_scope.cancel()
    return result
