"""Whom to offer the line next, and what was offered. Pure: no clock, no I/O.

Late binding: a host whose line is about to be free offers it to one partner, and that partner
chooses what it gets. So nothing is asked for long before it can be sent, no chunk is asked of
two uploaders at once, and nobody has to know what the others are fetching.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar

from attrs import evolve, frozen

from p2pacs.ids import StudyId, VirtualAddress


@frozen
class OffersTuning:
    """What `Offers` goes by."""

    choices: int = 2
    """Of so many partners, drawn by lot, the least complete is chosen. If every uploader took the
    least complete of all, all would offer to the same one, and it has room for a few only; with two
    choices the load is nearly as even (Mitzenmacher, The Power of Two Choices, 2001)."""
    classes: int = 32
    """Partners whose studies are complete to the same thirty-second take turns; who has nothing
    yet, and so nothing to give, comes before them."""
    returned: int = 1
    """A partner that is about to send something here is taken for so many thirty-seconds less
    complete: while bytes go both ways at once, each side's acknowledgements ride on its own
    segments."""
    slow_seconds: float = 0.3
    """An answer usually comes within this time; where it waits behind blocks on the other's line,
    the line here is offered to somebody else meanwhile."""
    answer_seconds: float = 3.0
    """An offer that is not answered after this long no longer counts as work for the line."""
    unanswered: int = 16
    """Offers to one partner whose answers may still come, late."""
    least_share: float = 0.2
    """Of what is offered a smaller or larger part is chosen (little where everybody has the same,
    or the end is near); so much is counted on at least ..."""
    answers_averaged: int = 4
    """... and what about so many answers were like."""
    pause_seconds: float = 0.3
    """A partner that wanted nothing is not offered anything for this long, doubled each time ..."""
    pause_limit: float = 2.4
    """... up to this."""


TUNING: Final = OffersTuning()
"""What is used unless a test hands in another."""


Key = tuple[VirtualAddress, StudyId]


class Fetcher(Protocol):
    """A partner that fetches a study."""

    @property
    def member(self) -> VirtualAddress:
        """Who."""

    @property
    def study(self) -> StudyId:
        """What."""

    @property
    def priority(self) -> int:
        """How urgent it is."""

    @property
    def gives(self) -> bool:
        """Whether it is about to send something here."""


C = TypeVar("C", bound=Fetcher)


@frozen
class OfferTarget:
    """A partner that fetches a study and lacks something that is here."""

    member: VirtualAddress
    study: StudyId
    priority: int
    completeness: float
    """Which fraction of the study it has, what is on its way from here included (0 to 1)."""
    useful: int
    """Chunks that it lacks and that are here, what is on its way from here not counted."""
    gives: bool = False
    """Whether it is about to send something here."""


@frozen
class _Open:
    """An offer that waits for its answer."""

    chunks: int
    priority: int
    slow: float
    until: float


@frozen
class _Pause:
    """A partner that wanted nothing, and is left alone for a while."""

    seconds: float
    until: float


class Offers:
    """Offers that wait for an answer, and partners that are left alone for a while."""

    def __init__(self, seed: bytes, tuning: OffersTuning = TUNING) -> None:
        """Nothing is offered yet.

        Args:
            seed: What makes the lots of this host its own.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._open: dict[Key, _Open] = {}
        self._allowed: dict[Key, deque[int]] = {}
        self._pauses: dict[Key, _Pause] = {}
        self._served: dict[VirtualAddress, int] = {}
        self._turns = 0
        self._share = 1.0

    def chunks(self, priority: int = 0, *, now: float = -math.inf) -> float:
        """Chunks offered to this class or higher ones that will be chosen soon: likely so many.

        Whoever did not answer before may not answer again, and is not counted on; nor is who has
        not answered by ``now`` though `OffersTuning.slow_seconds` are over.
        """
        return self._share * sum(
            one.chunks
            for key, one in self._open.items()
            if one.priority >= priority and len(self._allowed[key]) == 1 and now < one.slow
        )

    def choose(
        self,
        fetchers: Iterable[C],
        now: float,
        look: Callable[[C], OfferTarget],
    ) -> OfferTarget | None:
        """Who is to be offered the line: of two of the most urgent, the less complete.

        Args:
            fetchers: Partners that fetch.
            now: The present.
            look: What there is for one of them. Called only for those that are drawn: to know what
                each of many lacks would cost more than all else that an offer takes.
        """
        classes: dict[int, list[C]] = {}
        for one in fetchers:
            if self.ready(one.member, one.study, now):
                classes.setdefault(one.priority, []).append(one)
        for priority in sorted(classes, reverse=True):
            drawn = classes[priority]
            givers = [one for one in drawn if one.gives]
            targets = self._draw(drawn, look, self._tuning.choices)
            targets += self._draw(givers, look, 1)
            if targets:
                return min(targets, key=self._turn)
        return None

    def _draw(
        self, fetchers: list[C], look: Callable[[C], OfferTarget], count: int
    ) -> list[OfferTarget]:
        """So many that lack something that is here, by lot; fewer if there are no more."""
        targets: list[OfferTarget] = []
        while fetchers and len(targets) < count:
            place = int(self._random.random() * len(fetchers))
            fetchers[place], fetchers[-1] = fetchers[-1], fetchers[place]
            target = look(fetchers.pop())
            if target.useful > 0:
                targets.append(target)
        return targets

    def _turn(self, target: OfferTarget) -> tuple[bool, int, int, VirtualAddress]:
        served = self._served.get(target.member, 0)
        step = (
            int(target.completeness * self._tuning.classes) - target.gives * self._tuning.returned
        )
        return target.completeness > 0, step, served, target.member

    def ready(self, member: VirtualAddress, study: StudyId, now: float) -> bool:
        """Whether a partner may be offered something: it owes no answer, and has no pause."""
        key = (member, study)
        pause = self._pauses.get(key)
        return key not in self._open and (pause is None or now >= pause.until)

    def is_prompt(self, member: VirtualAddress, study: StudyId, now: float) -> bool:
        """Whether a partner may be offered something, or answers soon."""
        waiting = self._open.get((member, study))
        return self.ready(member, study, now) or (waiting is not None and now < waiting.slow)

    def is_open(self, member: VirtualAddress, study: StudyId) -> bool:
        """Whether a partner has an offer that it has not answered, and likely will."""
        return (member, study) in self._open

    def made(self, target: OfferTarget, chunks: int, now: float) -> None:
        """A partner was offered so many chunks."""
        key = (target.member, target.study)
        self._open[key] = _Open(
            chunks,
            target.priority,
            now + self._tuning.slow_seconds,
            now + self._tuning.answer_seconds,
        )
        self._allowed.setdefault(key, deque(maxlen=self._tuning.unanswered)).append(chunks)
        self._turns += 1
        self._served[target.member] = self._turns

    def answered(self, member: VirtualAddress, study: StudyId, count: int, now: float) -> int:
        """A partner chose so many chunks (none: it wants nothing now); how many it gets.

        Answers come in the order of the offers. Late ones count, too; what was not offered does
        not.
        """
        key = (member, study)
        offered = self._allowed.get(key)
        if not offered:
            return 0
        most = offered.popleft()
        allowed = min(count, most)
        self._share += (
            max(self._tuning.least_share, allowed / most) - self._share
        ) / self._tuning.answers_averaged
        was_open = not offered and self._open.pop(key, None) is not None
        if count:
            self._pauses.pop(key, None)
        elif was_open:
            self._pause(key, now)
        return allowed

    def expire(self, now: float) -> None:
        """Count no longer on answers that do not come."""
        for key in [key for key, one in self._open.items() if now >= one.until]:
            del self._open[key]
            self._pause(key, now)

    def _pause(self, key: Key, now: float) -> None:
        before = self._pauses.get(key)
        seconds = (
            min(self._tuning.pause_limit, before.seconds * 2)
            if before
            else self._tuning.pause_seconds
        )
        self._pauses[key] = _Pause(seconds, now + seconds)

    def gained(self) -> None:
        """There is more to give: who wanted nothing may want that. Who does not pauses longer."""
        self._pauses = {key: evolve(pause, until=-math.inf) for key, pause in self._pauses.items()}

    def next_change(self, now: float) -> float | None:
        """When somebody may be ready who is not now; None for never."""
        times = [at for one in self._open.values() for at in (one.slow, one.until) if at > now]
        times += [pause.until for pause in self._pauses.values() if pause.until > now]
        return min(times, default=None)

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""
        for table in (self._open, self._allowed, self._pauses):
            for key in [k for k in table if k[0] == member and study in (None, k[1])]:
                del table[key]
        if study is None:
            self._served.pop(member, None)
