"""With whom no link can be, why, and when it is tried again; who asks too often. Pure: no clock,
no I/O."""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import frozen

from p2pacs.ids import VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.punch.nat import Nat


@frozen
class PairsTuning:
    """When a pair that failed is tried again."""

    first_seconds: float = 15.0
    """After the first failure, four times as long after each further one, up to ..."""
    most_seconds: float = 900.0
    """... this. A changed address, or a link that came about otherwise, ends it at once."""
    factor: float = 4.0


TUNING: Final = PairsTuning()
"""What is used unless a test hands in another."""

MINUTE: Final = 60.0


@frozen
class Failure:
    """Why two members are not linked."""

    why: Phrase
    until: float
    """Not tried again before."""
    times: int


class Pairs:
    """What became of meetings with other members."""

    def __init__(self, tuning: PairsTuning = TUNING) -> None:
        self._tuning = tuning
        self._failures: dict[VirtualAddress, Failure] = {}

    def failed(self, member: VirtualAddress, why: Phrase, now: float) -> None:
        """No link came of a meeting."""
        before = self._failures.get(member)
        times = 1 if before is None else before.times + 1
        pause = self._tuning.first_seconds * self._tuning.factor ** min(times - 1, 8)
        until = now + min(pause, self._tuning.most_seconds)
        self._failures[member] = Failure(why, until, times)

    def linked(self, member: VirtualAddress) -> None:
        """There is a link: whatever was before no longer counts."""
        self._failures.pop(member, None)

    def moved(self) -> None:
        """This host is seen at another address: all may be tried again."""
        self._failures.clear()

    def waits(self, member: VirtualAddress, now: float) -> bool:
        """Whether a member is not to be tried for now."""
        failure = self._failures.get(member)
        return failure is not None and now < failure.until

    def why(self, member: VirtualAddress) -> Phrase | None:
        """Why there is no link with a member, as was found last."""
        failure = self._failures.get(member)
        return None if failure is None else failure.why


def why_not(mine: Nat, theirs: Nat) -> Phrase:
    """What kept two members from each other, as far as is known."""
    if mine is Nat.SYMMETRIC and theirs is Nat.SYMMETRIC:
        return Phrase("both routers give every connection another port (symmetric NAT)")
    if mine is Nat.SYMMETRIC:
        return Phrase(
            "this side's router gives every connection another port (symmetric NAT), and the other"
            " one lets in only what it was told of"
        )
    if theirs is Nat.SYMMETRIC:
        return Phrase(
            "the other side's router gives every connection another port (symmetric NAT), and this"
            " one lets in only what it was told of"
        )
    return Phrase("neither router let a connection of the other side through")


def hopeless(mine: Nat, theirs: Nat) -> bool:
    """Whether nothing can come of dialling over the Internet: no side can be told of a port."""
    return mine is Nat.SYMMETRIC and theirs is Nat.SYMMETRIC


class AskPace:
    """How often each member asked for something within the last minute."""

    def __init__(self, most: int) -> None:
        """Nobody asked yet.

        Args:
            most: How often one may within a minute.
        """
        self._most = most
        self._asked: dict[VirtualAddress, deque[float]] = {}

    def is_exceeded(self, member: VirtualAddress, now: float) -> bool:
        """A member asks: whether it did so too often; then this one does not count."""
        asked = self._asked.setdefault(member, deque())
        while asked and asked[0] <= now - MINUTE:
            asked.popleft()
        if len(asked) >= self._most:
            return True
        asked.append(now)
        return False
