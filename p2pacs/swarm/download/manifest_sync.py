"""Synchronisation of a study's manifest: its root, version after version, and its chunk list."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice
from typing import Final

import structlog
import trio
from attrs import define, frozen

from p2pacs.concurrency.signals import Bell
from p2pacs.errors import (
    ManifestError,
    NoSourceError,
    P2PacsError,
    ProtocolError,
    RemoteError,
)
from p2pacs.identity.keys import Verifier
from p2pacs.ids import ChunkId, VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.study.manifest import (
    ChunkList,
    Root,
    Segment,
    check_successor,
    load_root,
    load_segment,
)
from p2pacs.swarm.download.segment_holders import SegmentHolders
from p2pacs.swarm.studies.chunks import StudyChunks
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.wire.messages import messages

log = structlog.get_logger(__name__)


@frozen
class ManifestTuning:
    """How long is waited for manifests and segments."""

    answer_seconds: float = 15.0
    """For a root or a segment (36 KiB): three seconds of a slow uplink, and what waits before
    it."""
    hedge_seconds: float = 1.5
    """Who has not answered after this long is not waited for: the next one is asked, too."""
    retry_seconds: float = 0.2
    """When nobody gave a segment, they are asked again after this long, as far as it is their time
    (`SegmentTuning`)."""
    segments_ahead: int = 4
    """Segments that are asked for at once: whoever looks at a study reads nothing of it before
    its whole list is here, and one after the other each takes a round trip."""


TUNING: Final = ManifestTuning()
"""What is used unless a test hands in another."""


AskHolder = Callable[[VirtualAddress], Awaitable[bool]]
"""Asks a member for something; whether it gave it."""


@define(eq=False)
class _Coming:
    """A segment that was asked for."""

    chosen: bool = False
    """Whether it is known whom to ask, who is busy from then on."""
    over: bool = False
    segment: Segment | None = None
    """None if nobody gave it."""


class ManifestSync:
    """Keeps the root and the list of chunks of one study up to date."""

    def __init__(
        self,
        swarm: StudySwarm,
        chunks: StudyChunks,
        mesh: Mesh,
        key: Verifier,
        changed: Callable[[], None],
        *,
        holders: Collection[VirtualAddress] = (),
        tuning: ManifestTuning = TUNING,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            swarm: Who takes part.
            chunks: The study's place in the store.
            mesh: The links.
            key: The broker's, which signs roots.
            changed: Called when the root or the list of chunks has grown.
            holders: Who may have the study, linked or not yet.
            tuning: How long is waited for what.
        """
        self._tuning = tuning
        self.root: Root | None = None
        self.list = ChunkList()
        self._swarm = swarm
        self._chunks = chunks
        self._mesh = mesh
        self._key = key
        self._changed = changed
        self._holders = SegmentHolders(swarm, mesh, holders)
        self._bell = Bell()
        self._listing = Bell()
        """A segment has come, or somebody who may have one."""
        self._ahead: dict[VirtualAddress, int] = {}
        self._offered: dict[VirtualAddress, bytes] = {}
        self._asked: set[tuple[VirtualAddress, object]] = set()
        self._nursery: trio.Nursery | None = None

    @property
    def version(self) -> int:
        """Of the newest root; 0 for none."""
        return self.root.version if self.root else 0

    @property
    def listed(self) -> bool:
        """Whether the list of chunks is as long as the root says."""
        return self.root is not None and len(self.list) == self.root.chunks

    def notice(self, member: VirtualAddress, version: int) -> None:
        """A member holds this version; it may also have the segments that are missing."""
        self._holders.heard(member)
        if version > self.version:
            self._ahead[member] = version
            self._bell.ring()
        elif not self.listed:
            self._bell.ring()
            self._listing.ring()

    def offer(self, member: VirtualAddress, raw: bytes) -> None:
        """A member pushed a root."""
        self._offered[member] = raw
        self._bell.ring()

    async def accept(self, raw: bytes) -> bool:
        """Go by this root if it is newer; whether it is.

        Raises:
            ManifestError: not the broker's, or contradicting what is held.
        """
        root = load_root(raw, self._key, self._swarm.study)
        if root.version <= self.version:
            return False
        if self.root is not None:
            check_successor(self.root, root)
        self.root = root
        self._holders.rooted()
        self._swarm.go_by(root)
        await self._chunks.put_root(raw, version=root.version, segments=root.segments)
        self._swarm.push_root(raw)
        self._bell.ring()
        self._changed()
        return True

    async def run(self) -> None:
        """Follow until cancelled."""
        async with trio.open_nursery() as self._nursery:
            await self._follow()

    async def _follow(self) -> None:
        while True:
            while self._offered:
                member, raw = self._offered.popitem()
                await self._judge(member, raw)
            while ahead := [one for one, version in self._ahead.items() if version > self.version]:
                await self._first("root", ahead, self._ask)
            root = self.root
            done = root is None or self.listed or await self._extend(root)
            if done and root is self.root and not self._offered:
                await self._bell.wait()
            elif not done:
                with trio.move_on_after(self._tuning.retry_seconds):
                    await self._bell.wait()

    async def _first(self, what: object, members: Iterable[VirtualAddress], ask: AskHolder) -> None:
        """Ask one after the other until one gives it; the slow ones go on meanwhile.

        So somebody who never answers costs `ManifestTuning.hedge_seconds`, not the whole deadline.
        """
        given = False

        async def one(member: VirtualAddress, over: trio.Event) -> None:
            nonlocal given
            try:
                given = await ask(member) or given
            finally:
                self._asked.discard((member, what))
                over.set()
                self._bell.ring()

        for member in members:
            if self._nursery is not None and (member, what) not in self._asked:
                over = trio.Event()
                self._asked.add((member, what))  # now: who is chosen next must not be the same one
                self._nursery.start_soon(one, member, over)
                with trio.move_on_after(self._tuning.hedge_seconds):
                    await over.wait()
            if given:
                return

    async def _judge(self, member: VirtualAddress, raw: bytes) -> None:
        """Take a root from a member; a bad one is its fault."""
        try:
            await self.accept(raw)
        except ManifestError as error:
            self._mesh.strike(member, error)

    async def _ask(self, member: VirtualAddress) -> bool:
        """Ask a member, once, for a newer root."""
        self._ahead.pop(member, None)
        link = self._mesh.links.get(member)
        if link is None:
            return False
        before = self.version
        query = messages.ManifestQuery(0, bytes(self._swarm.study), before)
        try:
            reply = await link.call(query, timeout=self._tuning.answer_seconds)
            if isinstance(reply, messages.Manifest) and reply.root:
                await self._judge(member, reply.root)
        except P2PacsError as error:
            log.info("no manifest", member=self._mesh.name(member), error=str(error))
        return self.version > before

    async def _extend(self, root: Root) -> bool:
        """Get the segments that the root lists and the list of chunks lacks; whether all came."""
        missing = deque(self.list.missing(root))
        coming = dict[int, _Coming]()

        async def get(number: int) -> None:
            one = coming[number]
            one.segment = await self._segment(root, number, one)
            one.over = True
            self._listing.ring()

        async with trio.open_nursery() as nursery:
            while missing:
                for number in islice(missing, self._tuning.segments_ahead):
                    in_turn = number == missing[0]
                    before = sum(not one.chosen for one in coming.values())
                    if number not in coming and (
                        in_turn or self._holders.can_be_had(root, number, self._busy, before)
                    ):
                        coming[number] = _Coming()
                        nursery.start_soon(get, number)
                if not coming[missing[0]].over:
                    await self._listing.wait()
                    continue
                segment = coming.pop(missing.popleft()).segment
                if segment is not None:
                    self.list.extend(segment)
                    self._changed()
                if segment is None or root is not self.root:  # a newer one has come: go by that
                    nursery.cancel_scope.cancel()
                    return segment is not None
        return True

    async def _segment(self, root: Root, number: int, coming: _Coming) -> Segment | None:
        """A segment, from the store or from any partner."""
        segment_id = root.segments[number]

        async def ask(member: VirtualAddress) -> bool:
            try:
                raw = await self._fetch(member, segment_id)
                load_segment(raw, root, number)
            except RemoteError as error:
                self._mesh.strike(member, error)
            except P2PacsError as error:
                log.debug("no segment", member=self._mesh.name(member), error=str(error))
            else:
                await self._chunks.put_segment(segment_id, raw)
                return True
            self._holders.refused(member, root, number)
            return False

        held = await self._chunks.segment(segment_id)
        holders = [] if held is not None else self._holders.to_ask(root, number, self._busy)
        coming.chosen = True
        if held is None:
            await self._first(segment_id, holders, ask)
            held = await self._chunks.segment(segment_id)
        return load_segment(held, root, number) if held is not None else None

    @property
    def _busy(self) -> set[VirtualAddress]:
        """Who is asked for something just now."""
        return {member for member, _ in self._asked}

    async def _fetch(self, member: VirtualAddress, segment_id: ChunkId) -> bytes:
        link = self._mesh.links.get(member)
        if link is None:
            raise NoSourceError("not linked")
        query = messages.SegmentQuery(0, bytes(self._swarm.study), bytes(segment_id))
        reply = await link.call(query, timeout=self._tuning.answer_seconds)
        if not isinstance(reply, messages.SegmentAnswer):
            raise ProtocolError("not the answer to the question")
        return reply.data
