"""All studies that a host fetches: one transfer each, and how they share the host's line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import trio
from attrs import define

from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import StateError
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.line.inflow import Inflow
from p2pacs.mesh.mesh import Mesh
from p2pacs.study.manifest import load_root
from p2pacs.swarm.download.download import Download
from p2pacs.swarm.download.patience import TUNING, DownloadTuning
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.downlink_share import DownlinkShare, RunningTransfer
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.swarm.scheduling.source import Tier
from p2pacs.swarm.studies.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.studies.open_swarms import OpenSwarms

ENDED_TRANSFERS: Final = 256
"""Ended transfers that are remembered."""

UNTOLD: Final = 20_000
"""Sums by study and giver that wait until they are taken (`Downloads.take_received`)."""


@define
class ReceivedChunks:
    """What a member gave since the start: verified chunks."""

    chunks: int = 0
    bytes: int = 0


class Downloads:
    """Starts transfers, goes on with them, and remembers the last ones."""

    def __init__(
        self,
        mesh: Mesh,
        swarms: OpenSwarms,
        storage: ChunkStorage,
        keys: Verifier,
        *,
        tier: Callable[[VirtualAddress], Tier],
        chunks: Callable[[StudyId], StudyChunks | None],
        announce: Callable[[], None],
        line_rate: Callable[[], float],
        inflow: Inflow | None = None,
        tuning: DownloadTuning = TUNING,
    ) -> None:
        """Nothing is fetched before `run`.

        Args:
            mesh: The links.
            swarms: What is here of each study, and who takes part.
            storage: Where chunks are kept.
            keys: Of the brokers, which sign roots.
            tier: Who is asked first.
            chunks: The chunks of an open study; None if it is not here.
            announce: Called when chunks arrived.
            line_rate: Bytes a second that the host's downlink carries; infinite if not paced.
            inflow: Finds out how much may be asked for over the line; None: nobody does.
            tuning: Of the downloads that begin.
        """
        self.tuning = tuning
        """Of the downloads that begin from now on."""
        self.transfers: dict[StudyId, Transfer] = {}
        """Under way, and the last ones that ended."""
        self.received: dict[VirtualAddress, ReceivedChunks] = {}
        """By the member that gave it."""
        self.ended: Counter[TransferState] = Counter()
        """How many transfers ended how."""
        self._mesh = mesh
        self._swarms = swarms
        self._storage = storage
        self._keys = keys
        self._tier = tier
        self._chunks = chunks
        self._announce = announce
        self._line_rate = line_rate
        self._inflow = inflow
        self._untold: dict[tuple[StudyId, VirtualAddress], int] = {}
        self._running: dict[StudyId, Download] = {}
        self._share = DownlinkShare()
        self._tasks = Tasks()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch until cancelled."""
        await self._tasks.run(task_status=task_status)

    def get(self, study: StudyId) -> Download | None:
        """The download of a study that is under way, if there is one."""
        return self._running.get(study)

    def wanted_from(self, member: VirtualAddress) -> StudyId | None:
        """A study that is fetched and that this member has or fetches; None for none."""
        for study, download in self._running.items():
            if member in download.transfer.holders:
                return study
        return None

    def fetch(
        self,
        study: StudyId,
        holders: Iterable[VirtualAddress] = (),
        root: bytes | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Transfer:
        """Fetch a study, or go on with it; the one transfer of it that is under way.

        Args:
            study: Which.
            holders: Members that hold or fetch it; the brokers are always asked, too.
            root: A signed root, if the caller has one.
            priority: How urgent; a transfer under way takes the higher one.

        Raises:
            ManifestError: the root is not the broker's.
            StateError: the host's network is not running.
        """
        if not self._tasks.running:
            raise StateError("the host's network is not running")
        version = load_root(root, self._keys, study).version if root else 0
        transfer = self.transfers.get(study)
        if transfer is None or not self._serves(transfer, version):
            return self._start(study, holders, root, priority)
        transfer.add_holders(holders)
        transfer.prioritise(max(transfer.priority, priority))
        if download := self._running.get(study):
            download.recheck()
            if root:
                download.offer(self._mesh.me, root)
        return transfer

    def _serves(self, transfer: Transfer, version: int) -> bool:
        """Whether an earlier transfer still answers a request for at least this version."""
        if transfer.state is TransferState.COMPLETE:
            root, chunks = transfer.root, self._chunks(transfer.study)
            whole = chunks is not None and root is not None and len(chunks.have) >= root.chunks
            return whole and root is not None and root.version >= version
        return transfer.state is TransferState.FETCHING

    def _start(
        self,
        study: StudyId,
        holders: Iterable[VirtualAddress],
        root: bytes | None,
        priority: Priority,
    ) -> Transfer:
        availability = Availability((), bytes(self._mesh.me) + bytes(study))
        transfer = Transfer(study, availability, priority)
        transfer.add_holders(holders)
        transfer.add_holders(sorted(self._mesh.brokers - {self._mesh.me}))
        swarm = self._swarms.of(study)
        download = self._running[study] = Download(
            swarm,
            self._mesh,
            transfer,
            availability=availability,
            tier=self._tier,
            announce=self._announce,
            allowance=partial(self._allowance, transfer),
            asked=lambda size: self._share.asked(transfer.priority, size),
            came=self._came,
            received=partial(self._received, study),
            tuning=self.tuning,
        )
        swarm.download = download.sources
        self.transfers.pop(study, None)
        self.transfers[study] = transfer
        self._tasks.start(self._run, download, root)
        self._forget_ended()
        return transfer

    async def _run(self, download: Download, root: bytes | None) -> None:
        try:
            await download.run(self._storage, self._keys, root)
        finally:
            study = download.transfer.study
            self.ended[download.transfer.state] += 1
            if self._running.get(study) is download:  # it may have been begun anew meanwhile
                del self._running[study]

    def _received(self, study: StudyId, member: VirtualAddress, size: int) -> None:
        """A verified chunk came."""
        key = study, member
        self._untold[key] = self._untold.get(key, 0) + size
        if len(self._untold) > UNTOLD:  # nobody takes it
            del self._untold[next(iter(self._untold))]
        count = self.received.setdefault(member, ReceivedChunks())
        count.chunks += 1
        count.bytes += size

    def take_received(self) -> dict[tuple[StudyId, VirtualAddress], int]:
        """Bytes of verified chunks, by study and giver, since this was called the last time."""
        taken, self._untold = self._untold, {}
        return taken

    def _came(self, size: int) -> None:
        """So much came over the line."""
        if self._inflow is not None:
            self._inflow.came(size, trio.current_time())

    def _allowance(self, transfer: Transfer) -> float:
        """Bytes that a transfer may ask for over the line, now."""
        return min(self._room(), self._left(transfer))

    def _room(self) -> float:
        """What the line bears besides what is on its way."""
        window = math.inf if self._inflow is None else self._inflow.window
        if self._inflow is None or window == math.inf:
            return math.inf
        room = window - sum(one.sources.line_bytes for one in self._running.values())
        if room <= 0:
            self._inflow.full()
        return room

    def _left(self, transfer: Transfer) -> float:
        """What more urgent transfers leave."""
        rate = self._line_rate()
        if self._inflow is not None and self._inflow.carried:
            rate = min(rate, self._inflow.carried)
        if rate == math.inf:
            return math.inf
        now = trio.current_time()
        first = self._share.tuning.first_seconds
        running = [
            RunningTransfer(one.transfer.priority, one.transfer.urgent_since, one.sources.line_rate)
            for one in self._running.values()
            if one.availability.flights or now < one.transfer.urgent_since + first
        ]
        return self._share.allowance(transfer.priority, running, rate, now)

    def _forget_ended(self) -> None:
        ended = [t.study for t in self.transfers.values() if t.state is not TransferState.FETCHING]
        for study in ended[:-ENDED_TRANSFERS]:
            del self.transfers[study]

    # ------------------------------------------------------------ what the engine tells

    def dropped(self, study: StudyId) -> None:
        """The store no longer has this study: what is fetched of it has no place."""
        if transfer := self.transfers.pop(study, None):
            transfer.cancel()
        self._running.pop(study, None)

    def linked(self, member: VirtualAddress) -> None:
        """A member is reachable: tell it what is fetched that it may have."""
        for study, download in self._running.items():
            if member in download.transfer.holders:
                self._swarms.of(study).join(member)
