"""DICOM threads ask the trio side: every call ends, also when the peer stops meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

import outcome
import trio

from p2pacs.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


def _stopping() -> UnavailableError:
    return UnavailableError("the peer is stopping: try again later")


class Bridge:
    """Runs async functions in ``nursery`` for threads that are none of trio's."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """To be made inside the trio run.

        Args:
            nursery: calls under way end with it.
        """
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an async function to its end and return its result; from any other thread.

        The function must see to its own deadline.

        Raises:
            UnavailableError: the peer is stopping.
        """
        reply: Future[T] = Future()

        async def run() -> None:
            result = await outcome.acapture(function, *args, **kwargs)
            if isinstance(result, outcome.Value):
                reply.set_result(result.value)
            elif isinstance(result.error, trio.Cancelled):
                reply.set_exception(_stopping())
                result.unwrap()
            else:
                reply.set_exception(result.error)

        def start() -> None:
            try:
                self._nursery.start_soon(run)
            except RuntimeError:  # the nursery is closed
                reply.set_exception(_stopping())

        self.soon(start, reply)
        return reply.result()

    def begin(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run an async function beside the calls, from any other thread; none of its errors is
        expected, and it sees to its own end.

        Raises:
            UnavailableError: the peer is stopping.
        """

        async def start() -> None:
            self._nursery.start_soon(function)

        self.call(start)

    def soon(self, function: Callable[[], object], reply: Future[T] | None = None) -> None:
        """Run a quick function on the trio side, soon; from any thread."""
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            if reply is not None:
                reply.set_exception(_stopping())
