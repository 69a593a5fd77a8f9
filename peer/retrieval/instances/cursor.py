"""One reader's way through a study: each instance once, as soon as it can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from p2pacs.study.study_index import InstanceEntry
from p2pacs.swarm.download.transfer import Transfer
from peer.retrieval.instances.live_index import Known

Wanted = Callable[[InstanceEntry], bool]
"""Which instances a reader takes."""


class FetchedStudy(Protocol):
    """What is read: see `peer.retrieval.study_fetch.StudyFetch`."""

    @property
    def known(self) -> Sequence[Known]:
        """The instances known so far."""

    @property
    def current(self) -> bool:
        """Whether its index is as new as it has to be."""

    @property
    def settled(self) -> bool:
        """Whether no more instances will become known."""

    @property
    def transfer(self) -> Transfer:
        """What brings its chunks."""

    def mark(self) -> tuple[object, ...]:
        """How far it is."""

    def is_here(self, known: Known, /) -> bool:
        """Whether an instance can be read."""

    async def refresh(self) -> None:
        """Read the index as far as it is here."""

    async def moved(self, since: tuple[object, ...], /) -> None:
        """Until it is further than at this mark; raises why it will not be."""


class Cursor:
    """Of the instances that are whole the one with the lowest number comes first, so none waits
    for another that is not. One that the PACS withdrew before it was given does not come."""

    def __init__(
        self, fetch: FetchedStudy, wanted: Wanted | None = None, *, again: bool = False
    ) -> None:
        """At the beginning.

        Args:
            fetch: the study.
            wanted: which instances; None: all.
            again: whether one that was replaced in the PACS after it was given comes once more.
        """
        self._given: dict[int, bytes] | None = {} if again else None
        """Of which content each number was given."""
        self._fetch = fetch
        self._wanted = wanted
        self._seen = 0
        self._begun = False
        self._pending: list[int] = []
        self._withdrawn: list[int] = []
        """Numbers that were passed over: the PACS may get such an instance back."""

    @property
    def expected(self) -> int:
        """Instances known and still to come."""
        return len(self._pending)

    async def next(self) -> Known | None:
        """The next instance that can be read; None after the last.

        Raises:
            P2PacsError: why the others will not come.
        """
        fetch = self._fetch
        while True:
            mark = fetch.mark()
            await fetch.refresh()
            self._begun = self._begun or fetch.current
            if self._begun:
                self._take_in()
                if (known := self._ready()) is not None:
                    return known
                if fetch.settled and not self._pending:
                    if not self._give_again():
                        return None
                    continue
            await fetch.moved(mark)

    def another(self, takes: Callable[[Known], bool]) -> Known | None:
        """The next one if it can be read at this moment, and is to be taken; else None."""
        return self._ready(takes)

    def _ready(self, takes: Callable[[Known], bool] | None = None) -> Known | None:
        known = self._fetch.known
        for place, number in enumerate(self._pending):
            one = known[number - 1]
            if not one.withdrawn and self._fetch.is_here(one):
                if takes is not None and not takes(one):
                    return None
                del self._pending[place]
                if self._given is not None:
                    self._given[number] = one.entry.sha256
                return one
        if takes is not None:
            return None
        gone = [number for number in self._pending if known[number - 1].withdrawn]
        if gone:
            self._withdrawn += gone
            self._pending = [number for number in self._pending if number not in gone]
        return None

    def _give_again(self) -> bool:
        """Begin anew with those that are others now than they were when they were given."""
        known = self._fetch.known
        replaced = [
            number
            for number, digest in (self._given or {}).items()
            if known[number - 1].entry.sha256 != digest and not known[number - 1].withdrawn
        ]
        self._pending += replaced
        return bool(replaced)

    def _take_in(self) -> None:
        """The instances that became known since, or came back."""
        known = self._fetch.known
        numbers = [*self._withdrawn, *range(self._seen + 1, len(known) + 1)]
        self._withdrawn = [number for number in numbers if known[number - 1].withdrawn]
        for number in numbers:
            one = known[number - 1]
            if not one.withdrawn and (self._wanted is None or self._wanted(one.entry)):
                self._pending.append(number)
                if self._wanted is not None:
                    self._fetch.transfer.want(one.chunks)
        self._seen = len(known)
