"""Blocking DIMSE calls as trio calls: cancelling one aborts its association at once."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from p2pacs.concurrency.groups import single_error
from p2pacs.dimse.association.association import Association, hang_up
from p2pacs.dimse.association.inbox import Inbox
from p2pacs.errors import DeadlineError, PacsError, PacsUnreachableError

T = TypeVar("T")


class CallAssociation:
    """The association of a call, so that another thread can hang up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._assoc: Association | None = None
        self._cut = False

    def opening(self, assoc: Association) -> None:
        """Remember the association that is about to be opened.

        Raises:
            PacsUnreachableError: the call was cancelled already.
        """
        with self._lock:
            if self._cut:
                raise PacsUnreachableError("cancelled")
            self._assoc = assoc

    def cut(self) -> None:
        """Hang up now, and never open one again."""
        with self._lock:
            self._cut = True
            assoc = self._assoc
        if assoc is not None:
            hang_up(assoc)


async def call(work: Callable[[CallAssociation], T]) -> T:
    """Run ``work`` in a thread; when cancelled, hang up and wait for its end."""
    line, done = CallAssociation(), trio.Event()

    async def watch() -> None:
        try:
            await done.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(line.cut)
            raise

    failure: PacsError | DeadlineError | None = None
    with single_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            try:
                result = await trio.to_thread.run_sync(work, line)
            except (PacsError, DeadlineError) as error:
                failure = error  # outside the nursery: a hung up call is cancelled, not failed
            finally:
                done.set()
    if failure is not None:
        raise failure
    return result


@asynccontextmanager
async def filling(inbox: Inbox, work: Callable[[CallAssociation], None]) -> AsyncIterator[None]:
    """Run ``work`` beside the body; its error goes to whoever reads the inbox."""

    async def fill() -> None:
        try:
            await call(work)
        except (PacsError, DeadlineError) as error:
            inbox.close(error)
        else:
            inbox.close()

    with single_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill)
            try:
                yield
            finally:
                inbox.abandon()
                nursery.cancel_scope.cancel()
