"""The sources of one download: who joined, what is asked of whom, who is left alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import structlog
import trio

from p2pacs.bitfield import Bitfield
from p2pacs.errors import BusyError, ProtocolError
from p2pacs.ids import VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.swarm.download.requests import Requests
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.lan_mates import LanMate, leaves_to_mates
from p2pacs.swarm.scheduling.picker import Picker, Takeover
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import OTHERS_SECONDS, StudySwarm
from p2pacs.wire.messages.messages import Offer, Refuse

log = structlog.get_logger(__name__)

HELD_SECONDS: Final = 2.0
"""An offer whose answer waits until the line down has room is answered by then: after three seconds
who made it leaves this member alone (`OffersTuning.answer_seconds`)."""

REFUSED_CHUNKS: Final = 64
"""Chunks that a source may announce and then refuse: a store that is emptied is no crime."""


class Sources:
    """Sources of one download: carries out what the picker decides."""

    def __init__(
        self,
        swarm: StudySwarm,
        mesh: Mesh,
        transfer: Transfer,
        availability: Availability,
        *,
        tier: Callable[[VirtualAddress], Tier],
        allowance: Callable[[], float],
        asked: Callable[[int], None],
        picker: Picker | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            swarm: Who takes part.
            mesh: The links.
            transfer: What the rest of the program sees.
            availability: Who has what.
            tier: Who is asked first, of a study of the broker's.
            allowance: Bytes that may be asked for over the host's line, now.
            asked: Called when so many were.
            picker: Decides what to ask of whom; None: the usual one.
        """
        self.picker = picker or Picker()
        self.requests = Requests(swarm)
        self.unwritten = 0
        """Bytes that arrived and are not yet stored."""
        self._swarm = swarm
        self._mesh = mesh
        self._transfer = transfer
        self._availability = availability
        self._tier = tier
        self._allowance = allowance
        self._asked = asked
        self._suspended: dict[VirtualAddress, Source] = {}
        self._refused: Counter[VirtualAddress] = Counter()
        self._held: dict[VirtualAddress, tuple[Offer, float]] = {}
        """Offers that are answered when the line down has room, and until when at the latest."""

    # ------------------------------------------------------------ partners

    def joined(self, member: VirtualAddress, partner: Partner) -> None:
        """A member takes part, or says anew what it has."""
        link = self._mesh.links.get(member)
        on_line = link is not None and link.on_line
        if source := self._availability.sources.get(member):
            source.offers, source.on_line = partner.offers, on_line
            self._update(source, partner.has)
        elif suspended := self._suspended.get(member):
            suspended.offers, suspended.on_line = partner.offers, on_line
            suspended.has = partner.has
        else:
            self._availability.join(
                member,
                self.tier(member),
                partner.has,
                offers=partner.offers,
                on_line=on_line,
            )
        self.ask()

    def tier(self, member: VirtualAddress) -> Tier:
        """Who is asked first: of a study that a member sends that one last, for its line is the
        narrowest; then the broker has it as any replica."""
        sender = self._swarm.sender
        if sender is None:
            return self._tier(member)
        return Tier.ORIGIN if member == sender else min(self._tier(member), Tier.REPLICA)

    def listed(self) -> None:
        """There is a newer root, which another may have signed."""
        for member, source in [*self._availability.sources.items(), *self._suspended.items()]:
            source.tier = self.tier(member)
        self.ask()

    def _update(self, source: Source, has: Bitfield) -> None:
        """A partner said anew what it has; what was asked of it stays asked."""
        now = trio.current_time()
        for number in [number for number in source.has if number not in has]:
            self._availability.lost(source, number, now)
        for number in has:
            self._availability.gained(source, number)
        source.has = has

    def gained(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner has more chunks."""
        source = self._availability.sources.get(member)
        if source is None:
            if suspended := self._suspended.get(member):
                for number in numbers:
                    suspended.has.add(number)
            return
        for number in numbers:
            self._availability.gained(source, number)
        if not source.offers and self.picker.hungry(source):
            self.ask()

    def lost(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner lacks chunks that it was taken to have."""
        now = trio.current_time()
        if source := self._availability.sources.get(member):
            for number in numbers:
                self._availability.lost(source, number, now)

    def left(self, member: VirtualAddress) -> None:
        """A partner is gone: what it owed is asked of others."""
        self._suspended.pop(member, None)
        self._held.pop(member, None)
        self.requests.drop(member)
        if source := self._availability.sources.get(member):
            self._availability.leave(source, trio.current_time())
            self._part(source)
            self.ask()

    def refused(self, member: VirtualAddress, message: Refuse) -> None:
        """A partner will not send these."""
        source = self._availability.sources.get(member)
        if source is None:
            return
        now = trio.current_time()
        if message.code == BusyError.wire_code:
            self._suspend(source, now)
            return
        lacking = [number for number in message.numbers if number in source.has]
        for number in lacking:
            self._availability.lost(source, number, now)
        self._refused[member] += len(lacking)
        if self._refused[member] > REFUSED_CHUNKS:
            del self._refused[member]
            self._mesh.strike(member, ProtocolError("announces chunks that it refuses"))
        self.ask()

    def _part(self, source: Source) -> None:
        """Keep what a source gave, for the progress display."""
        if source.bytes_received:
            past = self._transfer.past_sources
            past[source.address] = past.get(source.address, 0) + source.bytes_received
            source.bytes_received = 0

    @property
    def fetching(self) -> bool:
        """Whether there is a list of chunks: before, nothing can be chosen."""
        return self._availability.total > 0

    @property
    def priority(self) -> int:
        """How urgent the transfer is."""
        return int(self._transfer.priority)

    @property
    def awaited(self) -> bool:
        """Whether somebody who is linked says to have what is missing."""
        sources = [*self._availability.sources.values(), *self._suspended.values()]
        return any(self._availability.wanted(number) for source in sources for number in source.has)

    @property
    def line_rate(self) -> float:
        """Bytes a second that come over the host's line."""
        sources = self._availability.sources.values()
        return sum(source.meter.value for source in sources if source.in_flight and source.on_line)

    @property
    def line_bytes(self) -> int:
        """Bytes that were asked for over the host's line and are not here."""
        sources = self._availability.sources.values()
        return sum(source.asked_bytes for source in sources if source.on_line)

    def owes(self, member: VirtualAddress) -> bool:
        """Whether something was asked of a member and is not here yet."""
        source = self._availability.sources.get(member)
        return source is not None and bool(source.in_flight)

    # ------------------------------------------------------------ asking

    def ask(self) -> None:
        """Ask whoever has room for more."""
        if self._transfer.state is not TransferState.FETCHING:
            return
        now = trio.current_time()
        self._look_at_line(now)
        plan = self.picker.plan(self._availability, self.unwritten, origin=self._ask_origin(now))
        for source, numbers in plan:
            self._request(source, numbers, now)

    def hurry(self) -> None:
        """Somebody waits for chunks: what was asked for before, and is not on its way, waits."""
        if self._transfer.state is not TransferState.FETCHING:
            return
        now = trio.current_time()
        for source, numbers in self.picker.overtaken(self._availability):
            self._give_back(source, numbers, now)
        self.ask()

    def _give_back(self, source: Source, numbers: list[int], now: float) -> None:
        """Have a source not send these: they are wanted again."""
        self.cancel(source, numbers)
        for number in numbers:
            self._availability.again(source, number, now)

    def _look_at_line(self, now: float) -> None:
        """Learn what more urgent transfers leave; the first time, give way at once."""
        before, self._availability.allowance = self._availability.allowance, self._allowance()
        if self._availability.allowance < math.inf == before:
            for source in self._availability.sources.values():
                if source.on_line:
                    self._give_back(source, list(source.in_flight)[1:], now)

    def offered(self, member: VirtualAddress, offer: Offer) -> None:
        """A partner's line is about to be free: choose, now or when the line down has room."""
        now = trio.current_time()
        source = self._availability.sources.get(member)
        if source is not None and source.on_line and self._availability.wanted_bytes:
            self._look_at_line(now)
            if self._availability.allowance <= 0 and member not in self._held:
                self._held[member] = offer, now + HELD_SECONDS
                return
        self._answer(member, offer, now)

    def answer_held(self, now: float) -> None:
        """Answer offers that wait, as far as the line down has room, or they have waited long."""
        for member, (offer, until) in list(self._held.items()):
            self._look_at_line(now)
            if self._availability.allowance > 0 or now >= until:
                del self._held[member]
                self._answer(member, offer, now)

    def _answer(self, member: VirtualAddress, offer: Offer, now: float) -> None:
        """Choose, or take over what comes too late."""
        source = self._availability.sources.get(member)
        numbers: list[int] = []
        is_fetching = self._transfer.state is TransferState.FETCHING
        if source is not None and is_fetching and not self._comes_by_lan(source, now):
            self._look_at_line(now)
            numbers = self.picker.answer(
                self._availability, source, offer.chunks, offer.numbers, self.unwritten
            )
            if not numbers and (late := self._late(source)) is not None:
                numbers = [self._moved(late, now)]
            self._ask(source, numbers, now)
        self.requests.choose(member, numbers)

    def _comes_by_lan(self, source: Source, now: float) -> bool:
        """Whether what is passed on over the line is left to a neighbour (`lan_mates`)."""
        if self._swarm.sender is None or source.tier is Tier.ORIGIN or self._availability.looking:
            return False
        links = self._mesh.links
        mates = (
            LanMate(member, one.fetching, one.priority, one.moved_at)
            for member, one in self._swarm.partners.items()
            if (link := links.get(member)) is not None and not link.on_line
        )
        me, priority = self._mesh.me, self.priority
        return source.on_line and leaves_to_mates(me, priority, mates, self._mesh.brokers, now)

    def _late(self, source: Source) -> Takeover | None:
        if self._availability.wanted_bytes or source.stalls or source.in_flight:
            return None
        if source.on_line and self._availability.allowance <= 0:
            return None
        return self.picker.takeover(self._availability, source, self._availability.sources.values())

    def _moved(self, takeover: Takeover, now: float) -> int:
        """Take a chunk from the source that would send it late; its number."""
        if takeover.cancel is not None:
            self._give_back(takeover.cancel, [takeover.number], now)
        return takeover.number

    def _ask_origin(self, now: float) -> bool:
        """Not while those who may have it are still being dialled."""
        return (
            self._swarm.sender is not None
            or now - self._transfer.started > OTHERS_SECONDS
            or all(
                member in self._availability.sources
                for member in self._transfer.holders
                if member != self._mesh.me and member not in self._mesh.brokers
            )
        )

    def take_over(self, now: float) -> None:
        """Give sources that have nothing left to do what slower ones would send last."""
        for takeover in (
            self.picker.takeovers(self._availability) if self._availability.allowance > 0 else []
        ):
            self._request(takeover.source, [self._moved(takeover, now)], now)

    def _request(self, source: Source, numbers: list[int], now: float) -> None:
        self._ask(source, numbers, now)
        self.requests.ask(source.address, numbers)

    def _ask(self, source: Source, numbers: list[int], now: float) -> None:
        before = source.asked_bytes
        self._availability.ask(source, numbers, now)
        if source.on_line:
            self._asked(source.asked_bytes - before)

    def cancel(self, source: Source, numbers: list[int]) -> None:
        """Tell a source that it need not send these; the caller updates the availability."""
        sizes = self._availability.sizes
        self.requests.cancel(source.address, numbers, sum(sizes[n] for n in numbers))

    # ------------------------------------------------------------ time

    def tick(self, now: float) -> None:
        """Leave stalled sources alone, come back to those whose pause is over, ask."""
        for source in self.picker.stalled(self._availability, now):
            self._suspend(source, now)
        for member, source in list(self._suspended.items()):
            if now >= source.suspended_until:
                del self._suspended[member]
                self._availability.back(source)
        self.answer_held(now)
        self.ask()
        self.take_over(now)

    def _suspend(self, source: Source, now: float) -> None:
        """Count on a source no longer for a while: what it owes is asked of others."""
        log.info(
            "source stalled",
            study=self._transfer.study.short,
            member=self._mesh.name(source.address),
            chunks=len(source.in_flight),
        )
        self.cancel(source, list(source.in_flight))
        self._availability.leave(source, now)
        self._part(source)
        source.suspended_until = now + self.picker.pause(source)
        source.stalls += 1
        self._suspended[source.address] = source

    def stop(self) -> None:
        """Nothing more is wanted."""
        self._held.clear()
        for source in self._availability.sources.values():
            self.cancel(source, list(source.in_flight))
            self._part(source)
