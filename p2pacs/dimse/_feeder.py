"""Reads a blocking iterator in a thread of its own, a little ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import Final

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.backend import MissingInstance

Item = EncodedInstance | MissingInstance


class Nothing(Enum):
    """What `Feeder.take` gives instead of an instance."""

    YET = auto()
    MORE = auto()


_AHEAD: Final = 2
"""Instances read ahead: the next one is decoded while one is sent."""

_OFFER_SECONDS: Final = 0.25


class Feeder:
    """Iterates in its thread, so that the taker can look after other things meanwhile."""

    def __init__(self, instances: Iterator[Item]) -> None:
        self._queue: queue.Queue[Item | Nothing] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="retrieval")
        self._result = self._pool.submit(self._run, instances)

    def take(self, timeout: float) -> Item | Nothing:
        """The next instance; `Nothing.YET` after ``timeout`` seconds, `Nothing.MORE` at the end.

        Raises:
            P2PacsError: what the iterator raised, after all that it gave.
        """
        try:
            item = self._queue.get(timeout=timeout)
        except queue.Empty:
            return Nothing.YET
        if item is Nothing.MORE:
            self._result.result()
        return item

    def stop(self) -> None:
        """Ask for no more; does not wait for an iterator that blocks."""
        self._stopped.set()
        self._pool.shutdown(wait=False)

    def _run(self, instances: Iterator[Item]) -> None:
        try:
            for instance in instances:
                if not self._offer(instance):
                    break
        finally:
            close = getattr(instances, "close", None)
            if close is not None:  # a generator, which only this thread may close
                close()
            self._offer(Nothing.MORE)

    def _offer(self, item: Item | Nothing) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_OFFER_SECONDS)
            except queue.Full:
                continue
            return True
        return False
