"""Worker processes that go on for the next test.

A program starts some and has them for hours; a test needs one for a moment, and to start it (the
codecs are loaded) takes longer than most of the tests themselves.
"""

from __future__ import annotations

from typing import ClassVar

from p2pacs.workers.messages import CallBatch, CallOutcome
from p2pacs.workers.process import WorkerProcess


class KeptWorker(WorkerProcess):
    """Its end is for show, unless it was killed, or failed at anything."""

    _kept: ClassVar[list[KeptWorker]] = []

    def __init__(self) -> None:
        super().__init__()
        self._is_sound = True

    @classmethod
    def start(cls) -> KeptWorker:
        """One that another test had, or a new one."""
        while cls._kept:
            kept = cls._kept.pop()
            if kept.alive:
                return kept
            kept.really_end()
        return cls()

    def work(self, batch: CallBatch) -> list[CallOutcome]:
        """As any other does."""
        is_sound, self._is_sound = self._is_sound, False
        outcomes = super().work(batch)
        self._is_sound = is_sound
        return outcomes

    def kill(self) -> None:
        """In the middle of something: it is of no use any more."""
        self._is_sound = False
        super().kill()

    def end(self) -> None:
        """Stays for who comes next."""
        if self._is_sound and self.alive:
            self._kept.append(self)
        else:
            self.really_end()

    def really_end(self) -> None:
        """Ends, as any other does."""
        super().end()
