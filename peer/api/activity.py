"""What moves at this peer now: transfers and uploads with their rates, and when that changed.

Rates are taken whenever somebody looks (`peer.api.progress`): while nobody does, nothing runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from itertools import islice
from typing import Final

import trio

from p2pacs.concurrency.signals import Watch
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.upload.uploads import Uploads
from peer.api.progress import SmoothedRates
from peer.api.status import Rates, transfer_json, upload_json

EVENTS: Final = 0.25
"""Seconds between two looks while something moves."""

RESTING: Final = 2.0
"""The same while nothing does; a transfer that begins is seen at once all the same."""

SETTLING: Final = 0.5
"""Seconds in which rates are measured for somebody who asks once."""

HEARTBEAT: Final = 20.0
"""Seconds after which a stream that has nothing to say says that it is there."""

SHOWN_TRANSFERS: Final = 32
"""Transfers in one event: those under way come before those that ended."""

SHOWN_MEMBERS: Final = 32
"""Sources of one transfer in an event, and members that are sent to."""


_WHOLE: Final = None
"""The counter of a whole transfer, beside those of its sources."""


class Activity:
    """The transfers and uploads of one host."""

    def __init__(
        self,
        transfers: Mapping[StudyId, Transfer],
        uploads: Uploads,
        links: Collection[VirtualAddress],
        book: DirectoryBook,
    ) -> None:
        """Nothing was looked at yet.

        Args:
            transfers: Under way, and the last ones that ended (`Downloads.transfers`).
            uploads: What is sent to whom.
            links: Members with a link (`Mesh.links`).
            book: Names the members.
        """
        self._transfers = transfers
        self._uploads = uploads
        self._links = links
        self._book = book
        self._paces: dict[Transfer, SmoothedRates[VirtualAddress | None]] = {}
        self._upload_paces = SmoothedRates[VirtualAddress]()
        self._sending = False
        self._begun = 0
        self._watch = Watch()

    def began(self) -> None:
        """A transfer was started."""
        self._begun += 1
        self._watch.changed()

    # ------------------------------------------------------------ how it is

    async def settle(self) -> None:
        """Take the time to measure, unless somebody did just now or nothing moves."""
        now = trio.current_time()
        moving = self._fetching or not self._uploads.bytes_sent.keys().isdisjoint(self._links)
        if moving and not self._upload_paces.fresh(now):
            self.event()
            await trio.sleep(SETTLING)

    @property
    def moving(self) -> bool:
        """Whether something is fetched, or was sent at the last look."""
        return self._fetching or self._sending

    @property
    def _fetching(self) -> bool:
        return any(one.state is TransferState.FETCHING for one in self._transfers.values())

    def transfers(self) -> list[JsonObject]:
        """All transfers since the start, newest first."""
        return [self.transfer(one) for one in _newest(self._transfers.values())]

    def uploads(self, most: int | None = None) -> list[JsonObject]:
        """Who was sent chunks since the start; those that were sent most first.

        Args:
            most: So many members at most; None for all.
        """
        sent = self._uploads.bytes_sent
        rates = self._upload_paces.look(trio.current_time(), sent)
        self._sending = any(rates.values())
        named = sorted(sent, key=lambda member: (-sent[member], member))[:most]
        return [
            upload_json(
                member,
                self._book,
                sent=sent[member],
                waiting=self._uploads.paced.promised(member),
                rate=rates[member],
                linked=member in self._links,
            )
            for member in named
        ]

    def event(self) -> JsonObject:
        """What an event says: bounded, however much goes on."""
        transfers = _newest(self._transfers.values())
        running = [one for one in transfers if one.state is TransferState.FETCHING]
        ended = (one for one in transfers if one.state is not TransferState.FETCHING)
        shown = [*running, *islice(ended, max(0, SHOWN_TRANSFERS - len(running)))]
        return {
            "transfers": [
                self.transfer(one, SHOWN_MEMBERS) for one in _newest(shown[:SHOWN_TRANSFERS])
            ],
            "further_transfers": max(0, len(transfers) - SHOWN_TRANSFERS),
            "uploads": self.uploads(SHOWN_MEMBERS),
        }

    def transfer(self, transfer: Transfer, sources: int | None = None) -> JsonObject:
        """One transfer, with so many sources at most (None: all)."""
        now = trio.current_time()
        return transfer_json(
            transfer,
            self._book,
            now=now,
            rates=self._rates(transfer, now),
            linked=self._links,
            sources=sources,
        )

    def _rates(self, transfer: Transfer, now: float) -> Rates:
        if transfer.state is not TransferState.FETCHING:
            self._paces.pop(transfer, None)
            return Rates()
        if transfer not in self._paces:
            self._forget()
        counts: dict[VirtualAddress | None, int]
        counts = {member: one.bytes for member, one in transfer.sources.items()}
        counts[_WHOLE] = sum(counts.values())
        rates = self._paces.setdefault(transfer, SmoothedRates()).look(now, counts)
        return Rates(
            rates[_WHOLE],
            {member: rate for member, rate in rates.items() if member is not None},
        )

    def _forget(self) -> None:
        """Transfers that the swarm has forgotten."""
        known = set(self._transfers.values())
        self._paces = {one: paces for one, paces in self._paces.items() if one in known}

    # ------------------------------------------------------------ when it changes

    async def events(self) -> AsyncGenerator[JsonObject, None]:
        """How it is, again whenever that changed: at most every `EVENTS` seconds."""
        last: JsonObject | None = None
        said = 0.0
        while True:
            begun, now = self._begun, self.event()
            rests = not self.moving
            if _still(now) != last or trio.current_time() - said >= HEARTBEAT:
                last, said = _still(now), trio.current_time()
                yield now
            await trio.sleep(EVENTS)
            if rests:
                await self._woken(begun)

    async def _woken(self, begun: int) -> None:
        """Until a transfer begins, or there may be something else to see."""
        with trio.move_on_after(RESTING):
            await self._watch.until(lambda: self._begun != begun)


def _newest(transfers: Collection[Transfer]) -> list[Transfer]:
    return sorted(transfers, key=lambda one: one.started, reverse=True)


def _still(event: JsonObject) -> JsonObject:
    """An event without what changes by itself: a stalled transfer is no news."""
    transfers = [{**one, "seconds": None} for one in event["transfers"]]
    return {**event, "transfers": transfers}
