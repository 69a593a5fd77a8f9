"""What was asked of this host on links that are not paced. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import REQUESTED_CHUNKS


class RequestQueue:
    """Requested chunks by requester, in the order asked."""

    def __init__(self) -> None:
        self._asked: dict[VirtualAddress, dict[tuple[StudyId, int], None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._asked.values()))

    def ask(self, member: VirtualAddress, study: StudyId, numbers: Iterable[int]) -> list[int]:
        """Queue chunks for a member; the numbers that its limit has no room for."""
        queue = self._asked.setdefault(member, {})
        refused = []
        for number in numbers:
            if len(queue) >= REQUESTED_CHUNKS:
                refused.append(number)
            else:
                queue.setdefault((study, number))
        return refused

    def cancel(self, member: VirtualAddress, study: StudyId, numbers: Iterable[int]) -> None:
        """A member no longer needs these."""
        queue = self._asked.get(member)
        if queue is None:
            return
        for number in numbers:
            queue.pop((study, number), None)
        if not queue:
            del self._asked[member]

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""
        queue = self._asked.pop(member, {})
        left = {key: None for key in queue if study not in (None, key[0])}
        if left:
            self._asked[member] = left

    def next(self, member: VirtualAddress) -> tuple[StudyId, int] | None:
        """What a member gets next; stays in the queue."""
        queue = self._asked.get(member)
        return next(iter(queue)) if queue else None

    def take(self, member: VirtualAddress, most: int) -> tuple[StudyId, list[int]] | None:
        """Take out the next chunks of one study for a member, at most so many."""
        first = self.next(member)
        if first is None:
            return None
        queue = self._asked[member]
        study = first[0]
        numbers: list[int] = []
        for asked, number in queue:
            if asked != study or len(numbers) == most:
                break
            numbers.append(number)
        self.cancel(member, study, numbers)
        return study, numbers
