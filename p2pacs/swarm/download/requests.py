"""Requests and cancellations of a download, and the stray data that it tolerates after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from p2pacs.errors import ProtocolError
from p2pacs.ids import VirtualAddress
from p2pacs.limits import KIB, REQUEST_NUMBERS
from p2pacs.swarm.download.assembly import Assembly
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.wire.messages.messages import Cancel, Request

STRAY_BYTES: Final = 256 * KIB
"""Data that was not asked for and is forgiven, beside what was cancelled on its way."""


class Requests:
    """Sends what a download asks for and cancels; holds the chunks that came in part."""

    def __init__(self, swarm: StudySwarm) -> None:
        self.blocks = Assembly()
        self._swarm = swarm
        self._forgiven: dict[VirtualAddress, int] = {}

    def ask(self, member: VirtualAddress, numbers: Sequence[int]) -> None:
        """Ask a member for chunks, in this order."""
        study = bytes(self._swarm.study)
        for first in range(0, len(numbers), REQUEST_NUMBERS):
            part = list(numbers[first : first + REQUEST_NUMBERS])
            self._swarm.send(member, Request(study, part))

    def choose(self, member: VirtualAddress, numbers: Sequence[int]) -> None:
        """Answer an offer; nothing is chosen if nothing is wanted now."""
        self._swarm.send(member, Request(bytes(self._swarm.study), list(numbers)))

    def cancel(self, member: VirtualAddress, numbers: Sequence[int], size: int) -> None:
        """Tell a member that chunks (of ``size`` bytes in all) are no longer needed."""
        study = bytes(self._swarm.study)
        self._forgiven[member] = self._forgiven.get(member, 0) + size
        for number in numbers:
            self.blocks.forget(member, number)
        for first in range(0, len(numbers), REQUEST_NUMBERS):
            part = list(numbers[first : first + REQUEST_NUMBERS])
            self._swarm.send(member, Cancel(study, part))

    def stray(self, member: VirtualAddress, size: int) -> None:
        """Data came that is not awaited.

        Raises:
            ProtocolError: more of it than was cancelled.
        """
        left = self._forgiven.get(member, 0) - size
        self._forgiven[member] = left
        if left < -STRAY_BYTES:
            raise ProtocolError("data that nobody asked for")

    def drop(self, member: VirtualAddress) -> None:
        """Nothing more will come from this member."""
        self.blocks.drop(member)
