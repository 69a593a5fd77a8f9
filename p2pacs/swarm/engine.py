"""What one host does for all studies: joins, announces, serves and fetches.

The engine knows members by address and studies by id; it knows nothing of TLS, sockets or
directories, so whole swarms of engines run in one process in virtual time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Final

import structlog
import trio

from p2pacs.bitfield import Bitfield
from p2pacs.concurrency.signals import Bell
from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import (
    LocalError,
    MalformedMessageError,
    ManifestError,
)
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import STUDY_CHUNKS
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.mesh import Mesh
from p2pacs.study.manifest import load_root
from p2pacs.swarm.download.downloads import Downloads
from p2pacs.swarm.scheduling.source import Tier
from p2pacs.swarm.studies.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.partner_budget import PartnerBudget
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.uploads import Uploads
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Message

log = structlog.get_logger(__name__)

GROWN_CHUNKS: Final = 16 * 1024
"""By so many chunks a study may have grown for others before it is known here."""


BUSY_SECONDS: Final = 4.0
"""Of work: what is published meanwhile is listed and asked for in less."""


class Engine:
    """The swarm of one host."""

    def __init__(
        self,
        mesh: Mesh,
        storage: ChunkStorage,
        keys: Verifier,
        tier: Callable[[VirtualAddress], Tier],
        *,
        uplink: Pacer | None,
        downlink: Pacer | None,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            mesh: The links.
            storage: Where chunks are kept.
            keys: Of the brokers, which sign roots.
            tier: Who is asked first.
            uplink: The budget of the host's line; None for no limit.
            downlink: Likewise.
        """
        self._keys = keys
        self.swarms = OpenSwarms(mesh.me, mesh.links, storage, keys)
        self.uploads = Uploads(
            mesh.links,
            self.swarms,
            self._chunks,
            uplink,
            seed=bytes(mesh.me),
            is_origin=lambda swarm: (
                mesh.me in mesh.brokers if swarm.sender is None else swarm.sender == mesh.me
            ),
            is_broker=lambda member: member in mesh.brokers,
        )
        self.downloads = Downloads(
            mesh,
            self.swarms,
            storage,
            keys,
            tier=tier,
            chunks=self._chunks,
            announce=self._fresh,
            line_rate=lambda: math.inf if downlink is None else downlink.rate,
            inflow=None if uplink is None else uplink.inflow,
        )
        self._uplink = uplink
        self._partner_budget = PartnerBudget()
        self._mesh = mesh
        self._storage = storage
        self._announce = Bell()
        self._announce_at = math.inf
        self._withheld: dict[StudyId, set[VirtualAddress]] = {}
        """Who took part when they were withheld."""
        self._tasks = Tasks()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve and fetch until cancelled."""
        async with self._tasks.open() as nursery:
            await nursery.start(self.uploads.run)
            await nursery.start(self.downloads.run)
            nursery.start_soon(self._announcer)
            task_status.started()
            await trio.sleep_forever()

    # ------------------------------------------------------------ for the programs

    async def updated(self, study: StudyId) -> None:
        """The publisher put chunks and a newer root into the store: tell who joined.

        Raises:
            ManifestError: the stored root is not the broker's.
        """
        swarm = self.swarms.of(study)
        before = swarm.listed
        chunks = await self.swarms.open(swarm)
        raw = chunks.root
        if raw is None:
            return
        root = load_root(raw, self._keys, study)
        swarm.go_by(root)
        for member in swarm.partners.keys() - swarm.told:  # it waits for the first version
            swarm.join(member)
        swarm.push_root(raw)
        swarm.gained(n for n in range(before, root.chunks) if n in chunks.have)
        self._fresh()

    def is_busy(self, study: StudyId) -> bool:
        """Whether chunks of a study that nobody else has keep the line busy for some seconds."""
        swarm, line = self.swarms.get(study), self._uplink
        if swarm is None or swarm.chunks is None or line is None or not swarm.partners:
            return False
        most = line.rate * BUSY_SECONDS
        return any(
            size > most for size in accumulate(map(swarm.chunks.size, swarm.only_here((), ())))
        )

    def completeness(self, study: StudyId, member: VirtualAddress) -> float:
        """Which fraction (0 to 1) of the newest version known here a linked member has of a study,
        as far as it told."""
        swarm = self.swarms.get(study)
        return 0.0 if swarm is None else swarm.completeness(member)

    def _fresh(self) -> None:
        """There is more to give, and to tell of."""
        if any(swarm.due < self._announce_at for swarm in self.swarms):
            self._announce.ring()
        self.uploads.paced.gained()

    def _chunks(self, study: StudyId) -> StudyChunks | None:
        """The chunks of an open study, unless the store dropped them meanwhile."""
        swarm = self.swarms.get(study)
        if swarm is None or swarm.chunks is None or study in self._withheld:
            return None
        if swarm.chunks.dropped:
            self.dropped(study)
            return None
        return swarm.chunks

    def dropped(self, study: StudyId) -> None:
        """The store no longer has this study: tell who joined."""
        self.downloads.dropped(study)
        if swarm := self.swarms.remove(study):
            for member in swarm.told:
                swarm.send(member, messages.Leave(bytes(study)))
            for member in swarm.partners:
                self._partner_budget.give_back(member, study)

    def withhold(self, study: StudyId) -> None:
        """Give nothing of a study that is here to anybody, until `give`."""
        swarm = self.swarms.get(study)
        self._withheld[study] = set() if swarm is None else {*swarm.told, *swarm.partners}
        self.dropped(study)

    def give(self, study: StudyId) -> None:
        """A study that was withheld is given again: who wants it is told what is here."""
        before = self._withheld.pop(study, None)
        if before is not None:
            swarm = self.swarms.of(study)
            for member in before.union(swarm.partners):
                self._greet(swarm, member, anyway=True)

    # ------------------------------------------------------------ who takes part in what

    def wanted_from(self, member: VirtualAddress) -> StudyId | None:
        """A study that is fetched here and that this member has or fetches; None for none."""
        return self.downloads.wanted_from(member)

    def takes_part(self, study: StudyId) -> bool:
        """Whether a study is held or fetched here."""
        return self.downloads.get(study) is not None or self._storage.holds(study)

    def partners(self, study: StudyId) -> list[VirtualAddress]:
        """Linked members that take part in the swarm of a study."""
        swarm = self.swarms.get(study)
        return [] if swarm is None else list(swarm.partners)

    # ------------------------------------------------------------ links

    async def _announcer(self) -> None:
        while True:
            now = trio.current_time()
            due = [at for swarm in self.swarms if (at := swarm.announce(now)) is not None]
            self._announce_at = min(due, default=math.inf)
            with trio.move_on_at(max(self._announce_at, now + self.swarms.tuning.have_seconds)):
                await self._announce.wait()

    def linked(self, member: VirtualAddress) -> None:
        """A member is reachable."""
        self.downloads.linked(member)

    def unlinked(self, member: VirtualAddress) -> None:
        """A member is gone: what it was sent, asked or owed is void."""
        self.uploads.drop(member)
        for swarm in list(self.swarms):
            swarm.told.discard(member)
            self._part(swarm, member)

    def _part(self, swarm: StudySwarm, member: VirtualAddress) -> None:
        self.uploads.drop(member, swarm.study)
        self._partner_budget.give_back(member, swarm.study)
        download = self.downloads.get(swarm.study)
        if swarm.partners.pop(member, None) is not None and download:
            download.sources.left(member)
        if swarm.idle:
            self.swarms.remove(swarm.study)

    # ------------------------------------------------------------ messages

    def news(self, member: VirtualAddress, message: Message) -> bool:
        """Handle a message of the swarm; whether it was one.

        Raises:
            RemoteError: the member may not say this.
        """
        match message:
            case messages.Block() | messages.Refuse() | messages.ManifestNews():
                if download := self.downloads.get(StudyId(message.study)):
                    download.news(member, message)
            case messages.Have():
                self._have(member, message)
            case messages.Offer():
                self._offer(member, message)
            case messages.Request():
                self.uploads.request(member, message)
            case messages.Cancel():
                self._cancel(member, message)
            case messages.Join():
                self._join(member, message)
            case messages.Leave():
                self._leave(member, message)
            case _:
                return False
        return True

    def _join(self, member: VirtualAddress, message: messages.Join) -> None:
        study = StudyId(message.study)
        has = Bitfield.from_bytes(message.have.rstrip(b"\0"))
        self._partner_budget.keep(member, study, has.size)
        swarm = self.swarms.of(study)
        before = swarm.partners.get(member)
        announced = before.announced if before else 0
        partner = Partner(
            message.version,
            has,
            message.fetching,
            message.priority,
            message.offers,
            trio.current_time(),
            announced,
            before.untold if before else [],
            before.untold_since if before else 0.0,
        )
        swarm.partners[member] = partner
        if partner.untold:
            self._announce.ring()
        self.uploads.paced.changed()
        if download := self.downloads.get(study):
            download.joined(member, partner)
        if member in swarm.told and (before or swarm.said_all(member)):
            return
        if study not in self._withheld:
            self._greet(swarm, member)

    def _greet(self, swarm: StudySwarm, member: VirtualAddress, *, anyway: bool = False) -> None:
        """Tell a partner (or anyway) what is here, as soon as it is known."""
        if swarm.chunks is not None or self.downloads.get(swarm.study):
            swarm.join(member)
        elif self._storage.holds(swarm.study):
            self._tasks.start(self._answer_join, swarm, member, anyway)

    async def _answer_join(
        self, swarm: StudySwarm, member: VirtualAddress, anyway: bool = False
    ) -> None:
        try:
            await self.swarms.open(swarm)
        except (LocalError, ManifestError) as error:
            log.warning("a stored study is not usable", study=swarm.study.short, error=str(error))
            return
        if (anyway or member in swarm.partners) and member not in swarm.told:
            swarm.join(member)
        self.uploads.paced.gained()

    def _have(self, member: VirtualAddress, message: messages.Have) -> None:
        swarm = self.swarms.get(StudyId(message.study))
        partner = swarm.partners.get(member) if swarm else None
        if swarm is None or partner is None:
            raise MalformedMessageError("Have without Join")
        partner.announced += sum(count for _, count in message.ranges)
        if partner.announced > 2 * (swarm.listed or STUDY_CHUNKS) + GROWN_CHUNKS:
            raise MalformedMessageError("the same chunks are announced over and over")
        partner.moved_at = trio.current_time()
        last = max((first + count for first, count in message.ranges), default=0)
        self._partner_budget.keep(member, swarm.study, max(partner.has.size, -(-last // 8)))
        swarm.partner_announced(member, message.ranges)  # it wants less than before: no line waits

    def _cancel(self, member: VirtualAddress, message: messages.Cancel) -> None:
        """It lacks them, or will say that it has them from somebody else."""
        if swarm := self.swarms.get(StudyId(message.study)):
            swarm.partner_lost(member, message.numbers)
        self.uploads.cancel(member, message)

    def _offer(self, member: VirtualAddress, message: messages.Offer) -> None:
        if download := self.downloads.get(StudyId(message.study)):
            download.sources.offered(member, message)
        elif link := self._mesh.links.get(member):
            link.send(messages.Request(message.study, []))

    def _leave(self, member: VirtualAddress, message: messages.Leave) -> None:
        if swarm := self.swarms.get(StudyId(message.study)):
            swarm.told.discard(member)
            self._part(swarm, member)
