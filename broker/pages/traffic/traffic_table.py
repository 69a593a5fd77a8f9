"""Flows of traffic put in order: by time, and by member. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from broker.members.traffic import DAY_MS, LENGTH, PACS, Flow, Step
from p2pacs.languages import N_


@frozen
class Period:
    """How far back is looked."""

    words: str
    step: Step
    count: int
    """Hours or days, the current one included."""

    def since(self, at: int) -> int:
        """When it begins: milliseconds since 1970."""
        length = LENGTH[self.step]
        return at - at % length - (self.count - 1) * length


PERIODS: Final[Mapping[str, Period]] = {
    "day": Period(N_("Last 24 hours"), Step.HOUR, 24),
    "week": Period(N_("Last 7 days"), Step.HOUR, 7 * 24),
    "month": Period(N_("Last 31 days"), Step.DAY, 31),
    "year": Period(N_("Last 12 months"), Step.DAY, 366),
}
USUAL: Final = "week"


@frozen
class Bucket:
    """What was transferred within an hour or a day."""

    at: int
    values: tuple[int, int]
    """Two series; which ones depends on what is asked."""


@frozen
class MemberTraffic:
    """What one member received and sent within the period."""

    address: bytes
    received: int
    sent: int


def buckets(
    flows: Iterable[Flow], period: Period, at: int, member: bytes | None = None
) -> Sequence[Bucket]:
    """What was transferred by time; nothing is nothing, so every hour or day is there.

    Args:
        flows: all of the period.
        period: which.
        at: now, milliseconds since 1970.
        member: whose: what it received, and what it sent. None: what came from other members, and
            what came from the PACS.
    """
    length, since = LENGTH[period.step], period.since(at)
    sums = [[0, 0] for _bucket in range(period.count)]
    for flow in flows:
        place = (flow.at - since) // length
        if 0 <= place < period.count:
            second = flow.giver == PACS if member is None else flow.receiver != member
            sums[place][second] += flow.bytes
    return [
        Bucket(since + place * length, (first, second))
        for place, (first, second) in enumerate(sums)
    ]


def by_member(flows: Iterable[Flow]) -> Sequence[MemberTraffic]:
    """Who received and sent how much, those with most first; the PACS among them."""
    received: dict[bytes, int] = {}
    sent: dict[bytes, int] = {}
    for flow in flows:
        received[flow.receiver] = received.get(flow.receiver, 0) + flow.bytes
        sent[flow.giver] = sent.get(flow.giver, 0) + flow.bytes
    found = [
        MemberTraffic(address, received.get(address, 0), sent.get(address, 0))
        for address in received.keys() | sent.keys()
    ]
    return sorted(found, key=lambda one: (-one.received - one.sent, one.address))


def when(at: int, step: Step) -> str:
    """The beginning of an hour or a day."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M}" if step is Step.HOUR else f"{moment:%Y-%m-%d}"


def mark(at: int, period: Period) -> str:
    """The same below a plot, short."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%H:%M}" if period.count * LENGTH[period.step] <= DAY_MS else f"{moment:%m-%d}"
