"""Who has which chunk of a study, and what is asked of whom. Pure: no clock, no I/O.

For every source there are queues of chunks by *rank* (how many linked sources have the chunk; 0
for chunks that somebody waits for). Entries of a queue may be stale: the picker looks again when
it takes one. So every change costs O(1) a chunk and source, and nothing ever scans the whole study
for one chunk.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable, Sequence

from p2pacs.bitfield import Bitfield
from p2pacs.errors import MalformedMessageError
from p2pacs.ids import VirtualAddress
from p2pacs.limits import STUDY_CHUNKS
from p2pacs.line.pacing import RateMeter
from p2pacs.swarm.scheduling.rarity_queues import TOP_RANK, RarityQueues
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.swarm.scheduling.viewport import Viewport, first_of

RUN_CHUNKS = 32
"""Neighbours stay together in runs of at most this many, so that disks and `Have` stay cheap."""

RUNS = 256
"""A study is shuffled in about this many runs at least: small studies chunk by chunk."""


def arrange(first: int, count: int, seed: bytes) -> list[int]:
    """The numbers from ``first`` in the order that one member asks for them among equals.

    Runs of neighbours in an order of the member's own, so that members that start together
    soon have different chunks to give to each other.
    """
    run = max(1, min(RUN_CHUNKS, count // RUNS))
    starts = list(range(first, first + count, run))
    random.Random(seed + first.to_bytes(4, "big")).shuffle(starts)  # noqa: S311 (not a secret)
    return [number for start in starts for number in range(start, min(start + run, first + count))]


class Availability:
    """The state of one transfer, as far as decisions need it."""

    def __init__(self, have: Iterable[int], seed: bytes) -> None:
        """The availability of a study of which nothing is known yet.

        Args:
            have: Numbers held already.
            seed: What makes the order of this member its own.
        """
        self.have = Bitfield(have)
        """Chunks verified (stored, or on their way to the disk)."""
        self.sizes = array("I")
        """Bytes of every chunk listed so far."""
        self.sources: dict[VirtualAddress, Source] = {}
        self.flights: dict[int, list[Source]] = {}
        """Number → sources asked for it."""
        self.wanted_bytes = 0
        """Bytes that nobody was asked for yet."""
        self.meter = RateMeter()
        """What comes from all sources together, while anything is in flight."""
        self.allowance = math.inf
        """Bytes that may be asked for over the host's line: more urgent transfers need the rest."""
        self._copies = array("H")
        self._order: list[int] = []
        self.first: set[int] = set()
        """Chunks that somebody waits for, and that are not here."""
        self._viewport = Viewport()
        self._seed = seed
        self._me = seed[: VirtualAddress.size]

    # ------------------------------------------------------------ facts

    @property
    def total(self) -> int:
        """Chunks listed so far."""
        return len(self.sizes)

    @property
    def asked_bytes(self) -> int:
        """Bytes in flight from all sources."""
        return sum(source.asked_bytes for source in self.sources.values())

    def wanted(self, number: int) -> bool:
        """Whether a chunk is listed, not here, and nobody was asked for it."""
        return number < len(self.sizes) and number not in self.flights and number not in self.have

    def copies(self, number: int) -> int:
        """How many linked sources have it."""
        return self._copies[number] if number < len(self._copies) else 0

    def rank(self, number: int) -> int:
        """0 for chunks that somebody waits for, else the number of sources, up to `TOP_RANK`.

        While somebody looks at something, what is not among its next chunks ranks behind; of
        those, equally rare ones rank first that this member fetches before others.
        """
        if number in self.first:
            return 0
        rank = min(TOP_RANK, max(1, self.copies(number)))
        window = self._viewport.window
        if number in window:
            return min(TOP_RANK, 2 * rank - self._leads(number))
        return rank + TOP_RANK if window else rank

    def _leads(self, number: int) -> bool:
        """Whether this member is the one that fetches a chunk first, of all that fetch."""
        sources = self.sources.values()
        others = (bytes(one.address) for one in sources if len(one.has) < self.total)
        return first_of(number, [self._me, *others]) == self._me

    @property
    def looking(self) -> bool:
        """Whether something comes before the rarest."""
        return bool(self.first or self._viewport.window)

    @property
    def complete(self) -> bool:
        """Whether all chunks listed so far are here."""
        return not self.wanted_bytes and not self.flights

    # ------------------------------------------------------------ the list of chunks

    def grow(self, sizes: Sequence[int]) -> None:
        """The study has these further chunks (bytes of each)."""
        first = self.total
        self.sizes.extend(sizes)
        self._cover(self.total)
        fresh = arrange(first, len(sizes), self._seed)
        self._order.extend(fresh)
        for number in fresh:
            if number not in self.have:
                self.wanted_bytes += self.sizes[number]
                self._offer(number)
        self._slide()

    def prefer(self, numbers: Iterable[int]) -> bool:
        """Somebody waits for these: they come before all others.

        Returns:
            Whether there is any among them that nobody waited for before, or was asked for.
        """
        more = False
        for number in numbers:
            if number not in self.first and number not in self.have:
                self.first.add(number)
                if self.wanted(number):
                    self._offer(number)
                    more = True
        return more

    def look(self, numbers: Iterable[int]) -> None:
        """Somebody looks at these, in this order: they come before others; none ends it."""
        self._viewport.look(numbers)
        self._slide()

    def _slide(self) -> None:
        """Let the next of what is looked at move up."""
        for number in list(self._viewport.slide(self.have, self.total)):
            if self.wanted(number):
                self._offer(number)

    def _cover(self, count: int) -> None:
        if count > len(self._copies):
            self._copies.extend([0] * (count - len(self._copies)))

    def _offer(self, number: int) -> None:
        rank = self.rank(number)
        for source in self.sources.values():
            if number in source.has:
                source.queues.push(rank, number)

    # ------------------------------------------------------------ sources

    def join(
        self,
        address: VirtualAddress,
        tier: Tier,
        has: Bitfield,
        *,
        offers: bool = False,
        on_line: bool = True,
    ) -> Source:
        """A member takes part and has these (``has`` is kept and changed here)."""
        source = Source(address, tier, has, offers=offers, on_line=on_line)
        self._enter(source)
        return source

    def _enter(self, source: Source) -> None:
        self.sources[source.address] = source
        for number in source.has:
            if number >= STUDY_CHUNKS:
                raise MalformedMessageError("a bit field beyond the largest study")
            self._cover(number + 1)
            self._copies[number] += 1
        source.queues = RarityQueues()
        for number in self._order:
            if number in source.has and self.wanted(number):
                source.queues.push(self.rank(number), number)

    def gained(self, source: Source, number: int) -> None:
        """A source that is counted has one more chunk."""
        if source.has.add(number):
            self._cover(number + 1)
            self._copies[number] += 1
            if self.wanted(number):
                source.queues.push(self.rank(number), number)

    def lost(self, source: Source, number: int, now: float) -> None:
        """A source does not have a chunk after all."""
        if source.has.discard(number):
            self._copies[number] -= 1
        self._give_back(source, number, now)
        if self.wanted(number):
            self._offer(number)

    def leave(self, source: Source, now: float) -> None:
        """A source is gone, or not to be counted on: what was asked of it is wanted again."""
        del self.sources[source.address]
        for number in source.has:
            self._copies[number] -= 1
        for number in list(source.in_flight):
            self.again(source, number, now)
        origins = [other for other in self.sources.values() if other.tier is Tier.ORIGIN]
        for origin in origins:  # may now be the only one that has some
            for number in source.has:
                if self.copies(number) == 1 and number in origin.has and self.wanted(number):
                    origin.queues.push(self.rank(number), number)

    def back(self, source: Source) -> None:
        """A source that left is there again, with what it had and how fast it was."""
        self._enter(source)

    # ------------------------------------------------------------ requests

    def ask(self, source: Source, numbers: Iterable[int], now: float) -> None:
        """These are asked of a source."""
        if not source.in_flight:
            source.moved_at = now
            source.meter.start(now)
        for number in numbers:
            self.meter.start(now)
            size = self.sizes[number]
            flights = self.flights.setdefault(number, [])
            if not flights:
                self.wanted_bytes -= size
            flights.append(source)
            source.in_flight[number] = size
            source.asked_bytes += size

    def moved(self, source: Source, number: int, size: int, now: float) -> None:
        """``size`` bytes of a chunk in flight arrived."""
        source.in_flight[number] -= size
        source.asked_bytes -= size
        source.bytes_received += size
        source.moved_at = now
        source.stalls = 0
        source.meter.add(size, now)
        self.meter.add(size, now)

    def arrived(self, number: int, now: float) -> list[Source]:
        """A chunk in flight is here and verified; the sources that were asked for it."""
        flights = self.flights.pop(number)
        for source in flights:
            self._forget(source, number, now)
        self._rest(now)
        self.have.add(number)
        self.first.discard(number)
        if number in self._viewport.window:
            self._viewport.window.discard(number)
            self._slide()
        return flights

    def rotten(self, number: int) -> None:
        """A chunk that was here is no longer readable: it is wanted again."""
        if self.have.discard(number) and self.wanted(number):
            self.wanted_bytes += self.sizes[number]
            self._offer(number)

    def again(self, source: Source, number: int, now: float) -> None:
        """A chunk asked of this source is no longer awaited from it: anybody may be asked."""
        if self._give_back(source, number, now):
            self._offer(number)

    def _give_back(self, source: Source, number: int, now: float) -> bool:
        """Take a request back; whether the chunk is wanted again."""
        if number not in source.in_flight:
            return False
        flights = self.flights[number]
        self._forget(source, number, now)
        flights.remove(source)
        if flights:
            return False
        del self.flights[number]
        self._rest(now)
        self.wanted_bytes += self.sizes[number]
        return True

    def _rest(self, now: float) -> None:
        if not self.flights:
            self.meter.stop(now)

    def _forget(self, source: Source, number: int, now: float) -> None:
        source.asked_bytes -= source.in_flight.pop(number)
        if not source.in_flight:
            source.meter.stop(now)
