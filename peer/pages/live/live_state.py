"""What open pages show of this peer, looked at together: a `LiveSource` of live_updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from attrs import define, field

from p2pacs.errors import P2PacsError
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.languages import _, said
from p2pacs.mesh.mesh import Mesh
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.texts import clean
from peer.api.activity import Activity
from peer.api.reached import HowReached
from peer.pages.live.network_words import network_words, own_words, trouble_words
from peer.pages.live.received_state import ReceivedState
from peer.pages.live.sent_state import SentState
from peer.pages.live.study_levels import StudyLevels
from peer.pages.live.transfer_words import transfer_words
from peer.retrieval.pending_fetches import PendingFetches
from peer.retrieval.reader import StudyReads
from peer.retrieval.study_fetch import StudyFetch
from peer.sending.sends import StudySend, WorkstationSends

log = structlog.get_logger(__name__)

TRANSFER: Final = "transfer-"
STUDY: Final = "study-"
SEND: Final = "send-"
NETWORK: Final = "network"
TRANSFERS: Final = "transfers"
TROUBLE: Final = "trouble"


@define(eq=False)
class _Watched:
    """A study that somebody has open."""

    readers: int = 0
    fetch: StudyFetch | None = None
    levels: StudyLevels = field(factory=StudyLevels)
    mark: tuple[object, ...] = ()
    """How far it was at the last look ..."""
    read: tuple[object, ...] = ()
    """... and when its index was read last."""

    async def prepare(self, fetch: StudyFetch) -> None:
        """Read its index as far as it came: where the transfer is over, nobody else may do so."""
        mark = fetch.mark()
        if mark != self.read:
            try:
                await fetch.refresh()
            except P2PacsError as error:  # whoever opens its images is told
                log.info("what is shown is not known", study=fetch.study.short, error=str(error))
            self.read = mark

    def look(self, fetch: StudyFetch | None) -> JsonObject:
        if fetch is not self.fetch:
            self.fetch, self.levels, self.mark = fetch, StudyLevels(), ()
        if fetch is not None and fetch.current:
            mark = (*fetch.mark(), len(fetch.known))
            if mark != self.mark:
                self.levels.look(tuple(fetch.known), fetch.transfer.have)
                self.mark = mark
        return self.levels.told()


class LiveState:
    """The state of everything that pages show."""

    def __init__(
        self,
        activity: Activity,
        transfers: Mapping[StudyId, Transfer],
        pending: PendingFetches,
        reads: StudyReads,
        sends: WorkstationSends,
        *,
        book: DirectoryBook,
        mesh: Mesh,
        me: Callable[[], VirtualAddress],
        reached: HowReached,
        sent: SentState,
        received: ReceivedState,
    ) -> None:
        """Nobody watches yet.

        Args:
            activity: what moves, with rates.
            transfers: under way, and the last ones that ended.
            pending: what was asked for, and what of it is paused.
            reads: studies that are read here.
            sends: to workstations.
            book: the members.
            mesh: links to them.
            me: this member.
            reached: how it and the others are reached.
            sent: studies that are sent from here into the network.
            received: studies that were sent here.
        """
        self._activity = activity
        self._transfers = transfers
        self._pending = pending
        self._reads = reads
        self._sends = sends
        self._book = book
        self._mesh = mesh
        self._me = me
        self._reached = reached
        self._sent = sent
        self._received = received
        self._watched: dict[StudyId, _Watched] = {}

    @contextmanager
    def watching(self, study: StudyId) -> Iterator[None]:
        """While somebody has a study open, its images are looked at, too."""
        watched = self._watched.setdefault(study, _Watched())
        watched.readers += 1
        try:
            yield
        finally:
            watched.readers -= 1
            if not watched.readers:
                del self._watched[study]

    @property
    def moving(self) -> bool:
        """Whether it will soon be other."""
        sends = any(not one.over for one in self._sends.all)
        return self._activity.moving or sends or self._sent.moving

    async def prepare(self) -> None:
        """Read on what is known of the images of studies that somebody has open, and how far those
        are that are sent."""
        await self._sent.prepare()
        await self._received.prepare()
        for fetch in self._reads.fetches if self._watched else ():
            if watched := self._watched.get(fetch.study):
                await watched.prepare(fetch)

    def look(self) -> dict[str, JsonObject]:
        """How everything is now."""
        event = self._activity.event()
        told = {one["study"]: one for one in event["transfers"]}
        state = {TRANSFER + name: self.transfer(one) for name, one in told.items()}
        state[TRANSFERS] = {"shown": list(told)}
        state[NETWORK] = {"members": self.members(event), **self.own()}
        state[TROUBLE] = self.trouble()
        state |= self._sent.look()
        state |= self._received.look()
        state |= {SEND + str(one.number): send_words(one) for one in self._sends.all}
        if self._watched:
            fetches = {fetch.study: fetch for fetch in self._reads.fetches}
            for study, watched in self._watched.items():
                state[STUDY + str(study)] = watched.look(fetches.get(study))
        return state

    def transfer(self, told: JsonObject) -> JsonObject:
        """One transfer in words, as `peer.api.status.transfer_json` tells it."""
        study = StudyId.parse(told["study"])
        return transfer_words(self._transfers[study], told, paused=study in self._pending.paused)

    def members(self, event: JsonObject) -> list[JsonObject]:
        """The other members in words."""
        members = self._book.directory.members
        return network_words(members, self._me(), self._mesh.links, self._reached.member, event)

    def own(self) -> JsonObject:
        """How others get to this member, in words."""
        return own_words(self._reached.how, self._reached.help)

    def trouble(self) -> JsonObject:
        """What keeps this peer from working, in words."""
        me, mesh = self._book.directory.get(self._me()), self._mesh
        refused = [mesh.refused[one] for one in sorted(mesh.brokers) if one in mesh.refused]
        revoked = me is not None and me.revoked
        return trouble_words(revoked=revoked, linked=mesh.broker_linked, refused=refused)

    def event(self) -> JsonObject:
        """What moves now; bounded."""
        return self._activity.event()


def send_words(send: StudySend) -> JsonObject:
    """How far a send is."""
    sending = send.sending
    failed, total = sending.tally.failed, sending.total
    done = sending.tally.done - failed
    why = str(send.error or "") or (next(iter(sending.tally.reasons), "") if failed else "")
    return {
        "study": str(send.study),
        "to": send.to.aet,
        "words": _send_state(send, done, failed),
        "over": send.over,
        "state": "over" if send.over else "sending",
        "amount": _("%(done)s of %(all)s images", done=done, all=total) if total else "",
        "why": clean(said(why)),
    }


def _send_state(send: StudySend, done: int, failed: int) -> str:
    if not send.over:
        if send.sending.cancelled:
            return _("Stopping")
        return _("Sending") if done or failed else _("Waiting")
    if send.sending.cancelled:
        return _("Stopped")
    if send.error is not None or (failed and not done):
        return _("Not sent")
    return _("Not all was sent") if failed else _("Sent")
