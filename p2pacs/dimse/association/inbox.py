"""Instances on their way from pynetdicom's threads into trio, with back-pressure."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import trio

from p2pacs import limits
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance

INBOX_BYTES: Final = 8 * limits.MIB
"""Data sets that wait to be taken: the line runs on while one instance is worked on."""


class Inbox:
    """A bounded queue: threads put (and block while it is full), one trio task iterates.

    Iteration ends when `close` was called and all is taken; it then raises the
    error that `close` got, if any. Must be made inside trio.
    """

    def __init__(self, capacity: int = INBOX_BYTES) -> None:
        self._capacity = capacity
        self._token = trio.lowlevel.current_trio_token()
        self._changed = threading.Condition()
        self._items: deque[EncodedInstance | LargeInstance] = deque()
        self._bytes = 0
        self._closed = False
        self._abandoned = False
        self._error: Exception | None = None
        self._arrived = trio.Event()

    def put(self, instance: EncodedInstance | LargeInstance) -> bool:
        """Hand over an instance, from a thread; blocks while the inbox is full.

        Returns:
            False if nobody will take it any more.
        """
        size = _held(instance)
        with self._changed:
            while self._items and self._bytes + size > self._capacity and not self._ended:
                self._changed.wait()
            if self._ended:
                return False
            self._items.append(instance)
            self._bytes += size
        return self._wake()

    def close(self, error: Exception | None = None) -> None:
        """Nothing more will come; from any thread. The first call counts."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._error = error
            self._changed.notify_all()
        self._wake()

    def abandon(self) -> None:
        """Nobody takes any more: whoever is putting gives up."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()

    @property
    def _ended(self) -> bool:
        return self._abandoned or self._closed

    def _wake(self) -> bool:
        try:
            self._token.run_sync_soon(self._wake_in_trio)
        except trio.RunFinishedError:
            return False
        return True

    def _wake_in_trio(self) -> None:
        self._arrived.set()

    def __aiter__(self) -> Inbox:
        return self

    async def __anext__(self) -> EncodedInstance | LargeInstance:
        while True:
            await trio.lowlevel.checkpoint()
            # Only this task replaces the event, and before it looks: no wake-up is lost.
            if self._arrived.is_set():
                self._arrived = trio.Event()
            with self._changed:
                if self._items:
                    instance = self._items.popleft()
                    self._bytes -= _held(instance)
                    self._changed.notify_all()
                    return instance
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    raise StopAsyncIteration
            await self._arrived.wait()


def _held(instance: EncodedInstance | LargeInstance) -> int:
    """Bytes of memory that it takes."""
    return len(instance.data) if isinstance(instance, EncodedInstance) else 0
