"""Offering the paced line: to whom next, how much, and with which advice (docs/swarm.md, "Offers").

The line always has a little promised work; more would only make the choice worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, chain, islice
from typing import Final

import trio
from attrs import frozen

from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.limits import KIB, OFFERED_CHUNKS, PROMISED_BYTES
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.scheduling.offers import Offers, OfferTarget
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.promised_work import PromisedWork
from p2pacs.wire.messages.messages import Offer


@frozen
class PacedSenderTuning:
    """How much of the line is offered, and how far ahead."""

    ahead_seconds: float = 0.6
    """The line has promised work for this long: an offer's round trip, and what stands before
    it."""
    ahead_chunks: float = 1.5
    """... and never less than this many chunks."""
    offer_seconds: float = 1.0
    """Work in one offer, one chunk at least ..."""
    careful_seconds: float = 0.2
    """... but this much, a chunk of a slow line, to a member that is at its beginning, and so
    begins to give, or near its end, where choosing late counts most (`StudySwarmTuning`)."""
    end_seconds: float = 1.0
    """The last so many seconds of a study that is sent home go to the broker, who passes them on:
    what it gets by way of others comes later, and the PACS still has to store it."""
    typical_chunk: float = 32.0 * KIB
    """What a chunk is taken for before one was sent; then the average ..."""
    chunks_averaged: int = 16
    """... of about so many: the last one of a run may be tiny."""


TUNING: Final = PacedSenderTuning()
"""What is used unless a test hands in another."""


class _Fetching:
    """A partner that fetches a study."""

    __slots__ = ("gives", "member", "partner", "priority", "study", "swarm")

    def __init__(self, member: VirtualAddress, swarm: StudySwarm, partner: Partner) -> None:
        self.member = member
        self.study = swarm.study
        self.priority = swarm.priority(member)
        self.gives = swarm.download is not None and swarm.download.owes(member)
        self.swarm = swarm
        self.partner = partner


class LineOffers:
    """Offers of one paced line."""

    def __init__(
        self,
        links: Mapping[VirtualAddress, Connection],
        swarms: OpenSwarms,
        uplink: Pacer,
        work: PromisedWork,
        *,
        seed: bytes,
        is_origin: Callable[[StudySwarm], bool],
        is_broker: Callable[[VirtualAddress], bool],
        tuning: PacedSenderTuning,
    ) -> None:
        """Nothing is offered before `make`.

        Args:
            links: The open links.
            swarms: What is here of each study, and who takes part.
            uplink: The line's budget.
            work: What is promised.
            seed: What makes the choices of this host its own.
            is_origin: Whether to offer of a study only what no other member has.
            is_broker: Whether a study that is sent goes home by way of this member.
            tuning: How much is offered, and how far ahead.
        """
        self._links = links
        self._swarms = swarms
        self._uplink = uplink
        self._work = work
        self._is_origin = is_origin
        self._is_broker = is_broker
        self._tuning = tuning
        self.open = Offers(seed)
        """What was offered and is not answered yet."""
        self.unwanted = True
        """Whether there was nobody to offer more to."""

    def next_change(self, now: float) -> float | None:
        """When more may be offered without a sign from anybody; None for never."""
        times = [at for at in (self.open.next_change(now), self._next_starved(now)) if at]
        return min(times, default=None)

    def make(self, now: float) -> None:
        """Offer the line until there is work enough, or nobody wants it."""
        rate = self._uplink.rate
        ahead = max(
            rate * self._tuning.ahead_seconds, self._tuning.ahead_chunks * self._work.chunk_bytes
        )
        highest = self._highest()
        self.unwanted = False
        # Most often there is work enough: then nobody is looked at.
        while self._promised_bytes(now, highest) < ahead:
            target = self.open.choose(self._fetching(now), now, self._target)
            if target is None or self._promised_bytes(now, target.priority) >= ahead:
                self.unwanted = True
                return
            swarm = self._swarms.of(target.study)
            if self._is_origin(swarm):
                chunks, hints = self._once(swarm, target)
            else:
                chunks = min(self._chunks_for(target), target.useful)
                hints = swarm.hints(target.member)
            self.open.made(target, chunks, now)
            swarm.send(target.member, Offer(bytes(target.study), chunks, hints))

    def _chunks_for(self, target: OfferTarget) -> int:
        """How many chunks to offer at once; there is room for those that `_target` says."""
        return max(1, min(OFFERED_CHUNKS, int(self._room(target) / self._work.chunk_bytes)))

    def _room(self, target: OfferTarget) -> float:
        """Bytes to offer at once."""
        seconds, study = self._tuning.offer_seconds, self._swarms.tuning
        if not study.early < target.completeness < study.late:
            seconds = self._tuning.careful_seconds
        return self._uplink.rate * seconds

    def _once(self, swarm: StudySwarm, target: OfferTarget) -> tuple[int, list[int]]:
        """What an origin gives: how many chunks, and which it advises.

        Index parts first, then in the order of the study, as its previews come before its frames.
        What is chosen is known here, and its bytes: after small chunks large ones would be
        promised for seconds, and nothing that somebody waits for could overtake them.
        """
        alone, room = self._only_here(swarm), self._room(target)
        index = [number for number in sorted(swarm.index) if number in alone]
        rest = (number for number in alone if number not in swarm.index)
        most = min(OFFERED_CHUNKS, target.useful)
        hints = list(islice(chain(index, rest), max(swarm.tuning.hints, self._chunks_for(target))))
        sizes = accumulate(swarm.chunks.size(n) if swarm.chunks else 0 for n in hints)
        chunks = sum(size <= room for size in sizes) if hints else self._chunks_for(target)
        swarm.partners[target.member].hinted = list(hints)
        return max(1, min(most, chunks)), hints

    def _highest(self) -> int:
        """The most urgent that anybody fetches."""
        partners = (one for swarm in self._swarms for one in swarm.partners.values())
        return max((one.priority for one in partners if one.fetching), default=0)

    def _promised_bytes(self, now: float, priority: int) -> float:
        """Work that the line has before anything of a class: promised, or about to be chosen."""
        chosen = self.open.chunks(priority, now=now) * self._work.chunk_bytes
        return chosen + self._work.soon(now, priority)

    def _only_here(self, swarm: StudySwarm) -> Bitfield:
        """What an origin gives: no two partners are advised the same, or they would both take it
        over the one narrow line."""
        study = swarm.study
        asked = [member for member in swarm.partners if self.open.is_open(member, study)]
        return swarm.only_here(self._work.coming(study), asked)

    def _fetching(self, now: float) -> Iterator[_Fetching]:
        """The partners that fetch something and take what comes."""
        stuck = {one.member for one in self._work.queue if not self._work.moves(one.member, now)}
        for swarm in self._swarms:
            only = self._takes_end(swarm, now)
            for member, partner in swarm.partners.items():
                if partner.fetching and member not in stuck and only in (None, member):
                    link = self._links.get(member)
                    if link is not None and link.paced:
                        yield _Fetching(member, swarm, partner)

    def _takes_end(self, swarm: StudySwarm, now: float) -> VirtualAddress | None:
        """The broker, if it takes all that is left to give of a complete study that is sent from
        here; None: whoever lacks something."""
        if swarm.sender is None or swarm.chunks is None or not self._is_origin(swarm):
            return None
        if not swarm.complete:  # at the beginning, too, there is little: the others would wait
            return None
        others = swarm.partners.values()
        for member, partner in swarm.partners.items():
            link = self._links.get(member)
            if self._is_broker(member) and partner.fetching and link is not None and link.paced:
                if any(one.fetching and one.priority > partner.priority for one in others):
                    return None  # an emergency would wait behind whatever comes before the broker
                most = self._uplink.rate * self._tuning.end_seconds
                sizes = accumulate(map(swarm.chunks.size, self._only_here(swarm)), initial=0)
                is_end = all(size <= most for size in sizes)
                return member if is_end and self.open.is_prompt(member, swarm.study, now) else None
        return None

    def _target(self, one: _Fetching) -> OfferTarget:
        swarm, member, partner = one.swarm, one.member, one.partner
        queue = self._work.queue
        on_its_way = sum(p.member == member and p.study == swarm.study for p in queue)
        room = int((PROMISED_BYTES - self._work.promised(member)) / self._work.chunk_bytes)
        useful = min(swarm.useful(partner) - on_its_way, room)
        if (
            self._is_origin(swarm)
            and trio.current_time() < partner.moved_at + swarm.tuning.starved_seconds
        ):
            useful = min(useful, len(self._only_here(swarm)))
        complete = swarm.completeness(member, on_its_way)
        return OfferTarget(member, swarm.study, one.priority, complete, useful, one.gives)

    def _next_starved(self, now: float) -> float | None:
        """When a partner may get what others have, too, that may not now; None for never."""
        swarms = (swarm for swarm in self._swarms if self._is_origin(swarm))
        partners = (one for swarm in swarms for one in swarm.partners.values())
        times = (
            one.moved_at + self._swarms.tuning.starved_seconds for one in partners if one.fetching
        )
        return min((at for at in times if at > now), default=None)
