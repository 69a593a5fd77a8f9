"""Peers exchanging one study, as seen from this host, and what they were told."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.bitfield import Bitfield
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import HAVE_RANGES, KIB
from p2pacs.mesh.connection import Connection
from p2pacs.study.manifest import BEGINNING, Root
from p2pacs.swarm.scheduling.availability import arrange
from p2pacs.swarm.studies.chunks import StudyChunks
from p2pacs.swarm.studies.interfaces import ActiveDownload
from p2pacs.swarm.studies.partner import Partner, ranges
from p2pacs.wire.messages.messages import Have, Join, ManifestNews, Message, Request

log = structlog.get_logger(__name__)


@frozen
class StudySwarmTuning:
    """When partners are told of what is new, and what they are advised."""

    have_seconds: float = 0.2
    """A partner that asks unasked (its link is not paced) hears of new chunks after this time
    ..."""
    late_have_seconds: float = 1.5
    """... one that gets offers after this, if nothing goes to it before: news ride on other
    messages (a message of its own costs 120 bytes on the line) ..."""
    idle_have_seconds: float = 5.0
    """... and one that fetches nothing after this."""
    calm_have_seconds: float = 10.0
    """Between its beginning and its end a transfer tells what is new with its offers, so that no
    choice is made on old news, and else after this time: how rare a chunk is changes slowly
    then."""
    few: int = 8
    """To no more partners than this, news are never so many that they had to wait."""
    early: float = 0.05
    """The beginning: less than this fraction of the study is here ..."""
    late: float = 0.9
    """... and the end: more than this. Then choosing well counts most."""
    haste: float = 0.125
    """News leave earlier by this part of their time if others leave now: so one wake-up tells
    many."""
    starved_seconds: float = 8.0
    """A partner that got nothing from others for this long gets from the broker what they have,
    too."""
    given_again: int = 8
    """Chunks that a member may ask for once more (it died before they were on its disk); one that
    asks for the same for ever comes after all others."""
    hints: int = 8
    """Chunks that an origin advises with an offer."""
    small_chunk: int = 8 * KIB
    """What a study begins with is given first, where chunks are not larger than this: so whoever
    has nothing yet can pass something on soon."""
    small_alone: int = 24
    """After so many they take turns with large ones: else, when all have the small ones, nobody has
    anything else to pass on yet."""
    hints_scanned: int = 512
    """How far it looks for them."""


TUNING: Final = StudySwarmTuning()
"""What is used unless a test hands in another."""


OTHERS_SECONDS: Final = 1.0
"""How long the broker is not asked in the place of other holders that are being dialled."""


class StudySwarm:
    """One study: its partners, its chunks here, its download if there is one."""

    def __init__(
        self,
        study: StudyId,
        links: dict[VirtualAddress, Connection],
        seed: bytes = b"",
        tuning: StudySwarmTuning = TUNING,
    ) -> None:
        """The swarm of a study in which nobody takes part yet.

        Args:
            study: Which.
            links: The open links.
            seed: What makes the order in which this host gives chunks its own.
            tuning: When partners are told what.
        """
        self.tuning = tuning
        self.study = study
        self.chunks: StudyChunks | None = None
        """None while nothing of the study is here."""
        self.version = 0
        """Of the newest root here."""
        self.listed = 0
        """Chunks in that root."""
        self.complete = False
        """Whether nothing comes after that root, as far as its signer knew."""
        self.sender: VirtualAddress | None = None
        """The member that signed it, who sends the study; None: a broker did."""
        self.index: frozenset[int] = frozenset()
        """Its chunks that are index parts: without them nothing else can be read."""
        self.partners: dict[VirtualAddress, Partner] = {}
        self.told: set[VirtualAddress] = set()
        """Partners and holders who know from us that we take part."""
        self.download: ActiveDownload | None = None
        """The download of the study that is under way, if there is one."""
        self.due = math.inf
        """When the next partner is to be told something, at the earliest."""
        self._said: dict[VirtualAddress, int] = {}
        """How many chunks our last `Join` named."""
        self._links = links
        self._seed = seed
        self._given: dict[VirtualAddress, Bitfield] = {}
        self._again: Counter[VirtualAddress] = Counter()
        self._giving: OrderedDict[int, None] = OrderedDict()
        """All chunks of a study that is here whole, those given to fewest members first."""

    @property
    def idle(self) -> bool:
        """Whether nothing of it is here and nobody takes part."""
        return self.chunks is None and self.download is None and not self.partners

    @property
    def whole(self) -> bool:
        """Whether all chunks are here."""
        return self.chunks is not None and len(self.chunks.have) >= self.listed > 0

    def go_by(self, root: Root) -> None:
        """This is the newest root here."""
        self.version, self.listed = root.version, root.chunks
        self.complete = root.complete
        self.sender = None if root.delegation is None else root.delegation.member
        self.index = frozenset(chain.from_iterable(part.numbers for part in root.parts))

    # ------------------------------------------------------------ what partners lack

    def priority(self, member: VirtualAddress) -> int:
        """How urgent the study is to a member; 0 if it takes no part, or asks for ever."""
        partner = self.partners.get(member)
        return partner.priority if partner and self._again[member] <= self.tuning.given_again else 0

    def completeness(self, member: VirtualAddress, on_its_way: int = 0) -> float:
        """Which fraction of the study a member has, from 0 to 1."""
        partner = self.partners.get(member)
        if partner is None or not self.listed:
            return 0.0
        return min(1.0, (len(partner.has) + on_its_way) / self.listed)

    def useful(self, partner: Partner) -> int:
        """How many chunks are here that a partner lacks."""
        return self.chunks.have.count_beyond(partner.has) if self.chunks else 0

    def hints(self, member: VirtualAddress) -> list[int]:
        """What a partner that lacks it gets best from an origin: what was given to fewest.

        Nothing if the study is not here whole: then the partner knows better what is rare.
        """
        partner = self.partners.get(member)
        if partner is None or not self.whole:
            return []
        # Without advice members that begin together choose the same rare chunks of all origins;
        # small chunks first (`_small_first`) save 0.4 to 0.7 % of the time of 4 to 16 members.
        if len(self._giving) < self.listed:
            first = len(self._giving)
            fresh = arrange(first, self.listed - first, self._seed)
            self._giving = OrderedDict.fromkeys([*self._small_first(fresh), *self._giving])
        likely = (
            n for n in islice(self._giving, self.tuning.hints_scanned) if n not in partner.has
        )
        partner.hinted = list(islice(likely, self.tuning.hints))
        for number in partner.hinted:  # the next one is advised otherwise
            self._giving.move_to_end(number)
        return partner.hinted

    def _small_first(self, numbers: Iterable[int]) -> list[int]:
        """Small chunks that the study begins with, first alone, then in turn with large ones."""
        small: list[int] = []
        large: list[int] = []
        for number in numbers:
            size = self.chunks.size(number) if self.chunks and number < BEGINNING else 0
            (small if 0 < size <= self.tuning.small_chunk else large).append(number)
        first, later = small[: self.tuning.small_alone], small[self.tuning.small_alone :]
        turns = chain.from_iterable(zip(large, later, strict=False))
        return [*first, *turns, *later[len(large) :], *large[len(later) :]]

    def given(self, member: VirtualAddress, numbers: Collection[int]) -> None:
        """Chunks were promised to a member: all others come before them."""
        partner = self.partners.get(member)
        hinted = partner.hinted if partner else []
        for number in reversed(hinted):
            if number in self._giving and number not in numbers:  # not taken: as before
                self._giving.move_to_end(number, last=False)
        hinted.clear()
        given = self._given.setdefault(member, Bitfield())
        for number in numbers:
            if not given.add(number):
                self._asked_again(member)
            if number in self._giving:
                self._giving.move_to_end(number)

    def _asked_again(self, member: VirtualAddress) -> None:
        self._again[member] += 1
        if self._again[member] == self.tuning.given_again + 1:
            log.warning("chunks asked for again and again", member=str(member))

    def only_here(self, promised: Iterable[int], asked: Collection[VirtualAddress]) -> Bitfield:
        """Chunks of the newest root here that no partner has, or is about to get from here.

        Args:
            promised: what partners chose.
            asked: partners that have an offer, and have not chosen yet of what it advises.
        """
        if self.chunks is None:
            return Bitfield()
        others = [partner.has for partner in self.partners.values()]
        advised = chain.from_iterable(self.partners[one].hinted for one in asked)
        alone = self.chunks.have.beyond(*others, Bitfield(promised), Bitfield(advised))
        for number in range(self.listed, alone.highest + 1):  # in the store, and not announced yet
            alone.discard(number)
        return alone

    def partner_gained(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner has more chunks: it says so, or they were sent to it."""
        partner = self.partners.get(member)
        if partner is None:
            return
        fresh = [number for number in numbers if number not in partner.has]
        if self.download is not None:
            self.download.gained(member, fresh)
        for number in fresh:
            partner.has.add(number)

    def partner_announced(self, member: VirtualAddress, pairs: Iterable[tuple[int, int]]) -> None:
        """A partner says that it has more chunks, as [first, count] pairs.

        A single pair may name a million chunks. Only a download looks at each of them: for all
        others that would stop the event loop for 0.7 s.
        """
        partner = self.partners.get(member)
        if partner is not None and self.download is None:
            for first, count in pairs:
                partner.has.add_range(first, first + count)
        else:
            self.partner_gained(
                member, (n for first, count in pairs for n in range(first, first + count))
            )

    def partner_lost(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner gave up on chunks: what was sent of them did not count, so it lacks them."""
        partner = self.partners.get(member)
        if partner is None:
            return
        lost = [number for number in numbers if number in partner.has]
        if self.download is not None:
            self.download.lost(member, lost)
        for number in lost:
            partner.has.discard(number)

    # ------------------------------------------------------------ telling

    def send(self, member: VirtualAddress, message: Message) -> None:
        """Send to a member if it is linked; what it was not yet told goes first."""
        if link := self._links.get(member):
            if not (isinstance(message, Request) and self._calm):
                for news in self._news(member):
                    link.send(news)
            link.send(message)

    def join(self, member: VirtualAddress) -> None:
        """Tell a member what we have, from now on."""
        link = self._links.get(member)
        if link is None:
            return
        if partner := self.partners.get(member):
            partner.untold.clear()
        have = bytes(self.chunks.have) if self.chunks else b""
        download = self.download
        fetching = download is not None and download.fetching
        priority = download.priority if download is not None else 0
        link.send(Join(bytes(self.study), self.version, have, fetching, priority, link.paced))
        self.told.add(member)
        self._said[member] = len(self.chunks.have) if self.chunks else 0

    def said_all(self, member: VirtualAddress) -> bool:
        """Whether our last `Join` named all that is here: only partners hear what came since."""
        return self._said.get(member, 0) == (len(self.chunks.have) if self.chunks else 0)

    def join_all(self) -> None:
        """Tell anew all partners, and all who were told and are not (yet) partners."""
        for member in {**self.partners, **dict.fromkeys(self.told)}:
            self.join(member)

    def push_root(self, raw: bytes) -> None:
        """Give the newest root to the partners that do not have it."""
        for member, partner in self.partners.items():
            if partner.version < self.version:
                partner.version = self.version
                self.send(member, ManifestNews(bytes(self.study), raw))

    def gained(self, numbers: Iterable[int], giver: VirtualAddress | None = None) -> None:
        """Chunks are here now; whoever gave them knows it, `announce` tells the others."""
        numbers = list(numbers)
        now = trio.current_time()
        for member, partner in self.partners.items():
            if member != giver:
                if not partner.untold:
                    partner.untold_since = now
                    self.due = min(self.due, now + self._patience(member, partner))
                partner.untold += numbers

    def announce(self, now: float) -> float | None:
        """Tell the partners what is new, each in its time; when the next is due."""
        due: list[float] = []
        for member, partner in self.partners.items():
            link = self._links.get(member)
            if not partner.untold or link is None:
                continue
            patience = self._patience(member, partner)
            at = partner.untold_since + patience
            if at > now + self.tuning.haste * patience:
                due.append(at)
            elif member not in self.told:
                self.join(member)
            else:
                for message in self._news(member):
                    link.send(message)
        self.due = min(due, default=math.inf)
        return self.due if due else None

    def _patience(self, member: VirtualAddress, partner: Partner) -> float:
        """How long news may wait for a partner."""
        if not partner.fetching:
            return self.tuning.idle_have_seconds
        link = self._links.get(member)
        if link is None or not link.paced:
            return self.tuning.have_seconds
        if self.chunks is not None and len(self.chunks.have) == 1:
            return 0.0  # who has nothing comes first, so it matters who no longer has nothing
        return self.tuning.calm_have_seconds if self._calm else self.tuning.late_have_seconds

    @property
    def _calm(self) -> bool:
        """Whether what is here is neither little nor nearly all, and many would be told of it."""
        here = len(self.chunks.have) if self.chunks else 0
        return (
            len(self.partners) > self.tuning.few
            and self.tuning.early * self.listed < here < self.tuning.late * self.listed
        )

    def _news(self, member: VirtualAddress) -> Iterator[Have]:
        partner = self.partners.get(member)
        if partner is None or not partner.untold or member not in self.told:
            return
        pairs = ranges(partner.untold)
        partner.untold.clear()
        for first in range(0, len(pairs), HAVE_RANGES):
            yield Have(bytes(self.study), pairs[first : first + HAVE_RANGES])
