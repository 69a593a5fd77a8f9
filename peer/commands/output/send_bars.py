"""Progress of files on their way to the peer, and of their studies on to the PACS (Rich)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.progress import TaskID

from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_bytes
from peer.commands.output.bars import ShownBars
from peer.commands.output.outgoing import how_far
from peer.commands.output.sent import study_name, study_words
from peer.commands.output.wording import format_rate, format_seconds

SHOWN: Final = 12
"""Studies with a line of their own: so many fit on a terminal."""


class SendBars(ShownBars):
    """The bars of one run. On what is no terminal there are none; of a study there is a line when
    it is further, and on a terminal one when it says why it is not."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._console = console
        self._said: dict[str, object] = {}
        self._whole = self._add("sent")
        self._files = self._add("files")
        self._studies: dict[str, TaskID] = {}
        self._size = self._count = 0
        self._began: float | None = None

    def found(self, files: int, size: int) -> None:
        """So many files, of so many bytes, are to be sent."""
        self._count, self._size, self._began = files, size, time.monotonic()
        self.moved(0, 0)

    def moved(self, files: int, size: int) -> None:
        """So many files are done, and bytes are read of all."""
        passed = time.monotonic() - (self._began or 0.0)
        rate = size / passed if passed > 0.5 else 0.0
        left = (self._size - size) / rate if rate else 0.0
        self._progress.update(
            self._whole,
            completed=size,
            total=self._size,
            amount=f"{format_bytes(size)} of {format_bytes(self._size)}",
            rate=format_rate(rate),
            said=f"{format_seconds(left)} left" if left > 1 else "",
        )
        self._progress.update(
            self._files, completed=files, total=self._count, amount=f"{files} of {self._count}"
        )

    def studies(self, studies: Sequence[JsonObject]) -> None:
        """How far studies are."""
        for one in studies:
            self._say(one)
        for one in studies[:SHOWN]:
            uid = one["study_instance_uid"]
            if uid not in self._studies:
                self._studies[uid] = self._add(study_name(one))
            done = one["state"] in ("stored", "refused", "cancelled")
            self._progress.update(
                self._studies[uid],
                description=study_name(one),
                completed=one["instances"] if done else 0,
                total=one["instances"] if done else None,
                amount=f"{one['instances']} images",
                said=study_words(one),
            )

    def away(self) -> None:
        """The peer stopped."""
        self._progress.update(self._whole, rate="", said="the peer stopped: waiting for it")

    def _say(self, one: JsonObject) -> None:
        """Write a line, if there is something new: not for each per cent of a recipient."""
        whole = [to["name"] for to in one["recipients"] if to["whole"]]
        uid, key = one["study_instance_uid"], (one["state"], one["why"], whole)
        if self._said.get(uid) == key:
            return
        self._said[uid] = key
        if one["why"] or not self._console.is_terminal:
            line = f"{study_name(one).capitalize()}: {how_far(one)}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
