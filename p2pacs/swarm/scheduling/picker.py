"""Which chunks to ask of whom. Pure decisions on an `Availability`: same state, same answer.

Rules (docs/swarm.md): chunks that somebody waits for first, then the rarest; hospitals before
replicas, the origin only for what nobody else has; as much in flight as a source moves in two
seconds by measurement; near the end nobody gets more than its share, and what would come last
is taken over by whoever is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from attrs import frozen

from p2pacs.ids import VirtualAddress
from p2pacs.limits import CHUNK_BYTES, KIB, MIB, STUDY_CHUNKS
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.rarity_queues import LAST_RANK, TOP_RANK
from p2pacs.swarm.scheduling.source import Source, Tier


@frozen
class PickerTuning:
    """How much is asked for, and when a source counts as stalled."""

    depth_seconds: float = 2.0
    """What is in flight from a source, in seconds of its measured rate."""
    depth_start: int = 192 * KIB
    """In flight from a source whose rate is not known yet."""
    depth_chunks: int = 2
    """Chunks in flight at least: one that comes and one that waits."""
    depth_bytes: int = 8 * MIB
    """In flight from one source at most."""
    window_bytes: int = 32 * MIB
    """In flight and not yet on disk of one transfer at most (memory)."""
    stall_seconds: float = 2.0
    """A source may be silent this long ..."""
    stall_chunks: float = 3.0
    """... and for the time that this many chunks take at its measured rate ..."""
    stall_rate: int = 32 * KIB
    """... or at this rate, in bytes a second, while none is measured."""
    pause_seconds: float = 4.0
    """A stalled source is not asked again for this long, doubled with every further stall."""
    pause_limit: float = 64.0
    """The longest pause, in seconds."""
    flight_seconds: float = 2.0
    """Of what is offered, as much is chosen as comes within this time by measurement: from that
    source, and from all ..."""
    flight_bytes: int = 384 * KIB
    """... but always as much as this. More uploaders than the line down carries sometimes send at
    once, and what is too much waits in the provider's queue: it must not overflow (where this grew
    with their number, one byte in a hundred found more than 96 kB there; simulation)."""
    begun_seconds: float = 0.1
    """Of what an offer brought, so much by measurement, at least one chunk, is on its way: only the
    rest can be overtaken by what somebody waits for. An image of five chunks, on three lines of
    800 kbit/s that were busy, is here after 1.0 s at most, instead of 1.4 to 2.1 (simulation);
    it costs the whole study 0.15 s, while a line waits for the answer to its next offer."""
    usual_bytes: int = CHUNK_BYTES // 2
    """What a chunk that is offered is taken for: two blocks of a slow line."""
    unproven_bytes: int = 2 * CHUNK_BYTES
    """Chosen at most of a source that has not shown yet how fast it is (or that it sends at
    all)."""
    gain_seconds: float = 0.3
    """A chunk is taken over only if that saves at least this much ..."""
    gain_factor: float = 1.5
    """... and this factor."""


TUNING: Final = PickerTuning()
"""What is used unless a test hands in another."""


@frozen
class Takeover:
    """Ask ``number`` of ``source`` too; ``cancel`` is where it has not begun, if so."""

    source: Source
    number: int
    cancel: Source | None


class Picker:
    """Decides what to ask of whom."""

    def __init__(self, tuning: PickerTuning = TUNING) -> None:
        """A picker.

        Args:
            tuning: What it goes by.
        """
        self._tuning = tuning

    def depth(self, source: Source) -> int:
        """Bytes to keep in flight from a source."""
        if source.stalls:
            return CHUNK_BYTES
        rate = source.meter.value
        wanted = int(rate * self._tuning.depth_seconds) if rate else self._tuning.depth_start
        return max(self._tuning.depth_chunks * CHUNK_BYTES, min(self._tuning.depth_bytes, wanted))

    def hungry(self, source: Source) -> bool:
        """Whether half of the depth is drained: requests go out in batches."""
        return source.asked_bytes * 2 <= self.depth(source)

    def plan(
        self, availability: Availability, unwritten: int = 0, *, origin: bool = True
    ) -> list[tuple[Source, list[int]]]:
        """What to ask now of whom that makes no offers; only the sources' rarity queues change.

        Args:
            availability: The transfer's state.
            unwritten: Bytes that arrived and are not yet stored.
            origin: Whether the origin may be asked yet.
        """
        sources = [
            source
            for source in availability.sources.values()
            if not source.offers and (origin or source.tier is not Tier.ORIGIN)
        ]
        if not sources:
            return []
        free = self._tuning.window_bytes - unwritten - availability.asked_bytes
        line = availability.allowance
        wanted = availability.wanted_bytes
        rates = sum(self._pull(source) for source in sources)
        taken: set[int] = set()
        result = []
        for source in sorted(filter(self.hungry, sources), key=self._turn):
            if source.on_line and line <= 0:
                continue
            share = int(wanted * self._pull(source) / rates) + CHUNK_BYTES
            left = min(free, line) if source.on_line else free
            room = int(min(self.depth(source) - source.asked_bytes, max(left, 0), share))
            if not source.in_flight:
                room = max(room, 1)  # a source with nothing to do always gets one chunk
            numbers, size = self._pick(availability, source, room, taken)
            if numbers:
                free -= size
                line -= size * source.on_line
                result.append((source, numbers))
        return result

    def answer(
        self,
        availability: Availability,
        source: Source,
        chunks: int,
        hints: Sequence[int],
        unwritten: int = 0,
    ) -> list[int]:
        """What to choose of a source that offers its line; only its rarity queues change.

        Args:
            availability: The transfer's state.
            source: Who offers.
            chunks: How many at most.
            hints: What it advises.
            unwritten: Bytes that arrived and are not yet stored.
        """
        room = self._trust(source) - source.asked_bytes
        if source.on_line and availability.allowance < room:
            room = int(availability.allowance)
        if room <= 0 or not self._room(availability, unwritten):
            return []
        chunks = min(chunks, -(-room // self._tuning.usual_bytes))
        if availability.looking:  # few are to choose from, so the later the better
            chunks = max(1, chunks // 2)
        advised = [n for n in dict.fromkeys(hints) if n in source.has and availability.wanted(n)]
        advised.sort(key=availability.rank)
        if source.tier is Tier.ORIGIN and hints:
            awaited, _ = self._pick(availability, source, room, set(advised), chunks, last=0)
            return [*awaited, *advised][:chunks]
        numbers: list[int] = []
        for most in (0, TOP_RANK, LAST_RANK) if availability.looking else (LAST_RANK,):
            if most:  # for what somebody waits, there is no better
                fresh = [n for n in advised if n not in numbers and availability.rank(n) <= most]
                numbers += fresh[: chunks - len(numbers)]
            numbers += self._pick(
                availability, source, room, set(numbers), chunks - len(numbers), most
            )[0]
        return numbers

    def overtaken(self, availability: Availability) -> list[tuple[Source, list[int]]]:
        """What was chosen of offers, and need not come before chunks that somebody waits for and
        that nobody was asked for yet.

        Of sources that make no offers nothing: their chunks are in the buffers of a faster line,
        and would come all the same.

        Args:
            availability: The transfer's state.
        """
        awaited = [number for number in availability.first if availability.wanted(number)]
        result = []
        for source in availability.sources.values():
            if source.offers and any(number in source.has for number in awaited):
                behind = self._behind(source)
                if numbers := [number for number in behind if number not in availability.first]:
                    result.append((source, numbers))
        return result

    def _behind(self, source: Source) -> list[int]:
        """What a source will send, and is not about to."""
        begun, least = 0, source.meter.value * self._tuning.begun_seconds
        behind = []
        for number, size in source.in_flight.items():
            if begun > least:
                behind.append(number)
            begun += size
        return behind

    def _trust(self, source: Source) -> int:
        """Bytes that a source may owe: what it can send soon, as far as it has shown that."""
        if source.stalls:
            return CHUNK_BYTES
        return max(
            self._tuning.unproven_bytes, int(source.meter.value * self._tuning.flight_seconds)
        )

    def _room(self, availability: Availability, unwritten: int) -> bool:
        """Whether the line down can take more: what is owed comes within seconds.

        Sources that have sent nothing yet are counted apart: they may never do.
        """
        proven = sum(
            source.asked_bytes for source in availability.sources.values() if source.meter.value
        )
        most = min(
            self._tuning.window_bytes,
            max(
                self._tuning.flight_bytes,
                int(availability.meter.value * self._tuning.flight_seconds),
            ),
        )
        return proven + unwritten < most and availability.asked_bytes + unwritten < 2 * most

    def _pull(self, source: Source) -> float:
        return source.meter.value or self._tuning.stall_rate

    def _turn(self, source: Source) -> tuple[Tier, float, VirtualAddress]:
        return source.tier, source.asked_bytes / self.depth(source), source.address

    def _pick(  # noqa: PLR0917 (private, and called in one way)
        self,
        availability: Availability,
        source: Source,
        room: int,
        taken: set[int],
        most: int = STUDY_CHUNKS,
        last: int = LAST_RANK,
    ) -> tuple[list[int], int]:
        """Numbers for one source, rarest first, until ``room`` bytes are filled, and their bytes.

        At most ``most``, and none beyond the rank ``last``.
        """
        numbers: list[int] = []
        size = 0
        while size < room and len(numbers) < most and (entry := source.queues.pop(last)):
            rank, number = entry
            if number in taken or number not in source.has or not availability.wanted(number):
                continue
            if (now := availability.rank(number)) > rank:
                source.queues.push(now, number)
            elif source.tier is Tier.ORIGIN and availability.copies(number) > 1:
                continue  # offered again when the others are gone
            else:
                taken.add(number)
                numbers.append(number)
                size += availability.sizes[number]
        return numbers, size

    def takeovers(self, availability: Availability) -> list[Takeover]:
        """What sources with nothing left to send take over from slower ones: the end game.

        At most one chunk for each source that has nothing in flight. A chunk that waits behind
        others is moved; one that is on its way is asked a second time, and the copy that comes
        later is cancelled.
        """
        result: list[Takeover] = []
        owed = [source for source in availability.sources.values() if source.in_flight]
        taken: set[int] = set()
        free = [
            source
            for source in availability.sources.values()
            if not (
                source.in_flight or source.stalls or source.offers or source.tier is Tier.ORIGIN
            )
        ]
        for source in sorted(free, key=self._turn):
            if found := self.takeover(availability, source, owed, taken):
                taken.add(found.number)
                result.append(found)
        return result

    def takeover(
        self,
        availability: Availability,
        source: Source,
        owed: Iterable[Source],
        taken: Collection[int] = (),
    ) -> Takeover | None:
        """What one source that has nothing else to send takes over from the others, if anything.

        Args:
            availability: The transfer's state.
            source: Who is free.
            owed: From whom.
            taken: Numbers that were given to others in this turn.
        """
        best = max(
            (
                entry
                for victim in owed
                if (entry := self._last(availability, source, victim, taken))
            ),
            key=lambda entry: entry[0],
            default=None,
        )
        if best is None:
            return None
        _, number, victim = best
        begun = len(victim.in_flight) == 1
        return Takeover(source, number, None if begun else victim)

    def _last(
        self, availability: Availability, source: Source, victim: Source, taken: Collection[int]
    ) -> tuple[float, int, Source] | None:
        """What ``victim`` would send last, when, if ``source`` would be clearly sooner."""
        if victim is source or not victim.in_flight:
            return None
        number = next(reversed(victim.in_flight))
        if number in taken or number not in source.has or len(availability.flights[number]) > 1:
            return None
        there = victim.asked_bytes / self._pull(victim)
        here = availability.sizes[number] / self._pull(source)
        if there < here * self._tuning.gain_factor + self._tuning.gain_seconds:
            return None
        return there, number, victim

    def patience(self, source: Source) -> float:
        """Seconds that a source which owes something may be silent."""
        return self._tuning.stall_seconds + self._tuning.stall_chunks * CHUNK_BYTES / max(
            self._pull(source), 1.0
        )

    def stalled(self, availability: Availability, now: float) -> list[Source]:
        """Sources that owe something and have been silent for too long."""
        return [
            source
            for source in availability.sources.values()
            if source.in_flight and now - source.moved_at > self.patience(source)
        ]

    def pause(self, source: Source) -> float:
        """Seconds for which a source that stalled is left alone."""
        return float(
            min(self._tuning.pause_limit, self._tuning.pause_seconds * 2.0 ** min(source.stalls, 8))
        )
