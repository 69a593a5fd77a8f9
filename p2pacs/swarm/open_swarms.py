"""The studies that one host has to do with: held, fetched, or joined by others."""

from __future__ import annotations

from collections.abc import Iterator

from p2pacs.errors import NoSourceError
from p2pacs.identity.keys import VerifyKey
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.mesh.connection import Connection
from p2pacs.study.manifest import load_root
from p2pacs.swarm.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.study_swarm import StudySwarm
from p2pacs.wire.messages import Manifest, ManifestQuery, SegmentAnswer, SegmentQuery


class OpenSwarms:
    """Circles by study; what the store holds is opened when somebody asks for it."""

    def __init__(
        self,
        me: VirtualAddress,
        links: dict[VirtualAddress, Connection],
        storage: ChunkStorage,
        key: VerifyKey,
    ) -> None:
        self._me = me
        self._links = links
        self._storage = storage
        self._key = key
        self._circles: dict[StudyId, StudySwarm] = {}

    def __iter__(self) -> Iterator[StudySwarm]:
        return iter(list(self._circles.values()))

    def get(self, study: StudyId) -> StudySwarm | None:
        """The circle of a study, if there is one."""
        return self._circles.get(study)

    def circle(self, study: StudyId) -> StudySwarm:
        """The circle of a study, made if there is none."""
        circle = self._circles.get(study)
        if circle is None:
            seed = bytes(self._me) + bytes(study)
            circle = self._circles[study] = StudySwarm(study, self._links, seed)
        return circle

    def remove(self, study: StudyId) -> StudySwarm | None:
        """Forget a study; what was known of it."""
        return self._circles.pop(study, None)

    async def open(self, circle: StudySwarm) -> StudyChunks:
        """The chunks of a study that the store holds.

        Raises:
            LocalError: the store cannot be read.
            ManifestError: the stored root is not the broker's.
        """
        if circle.chunks is None or circle.chunks.dropped:
            chunks = await self._storage.study(circle.study)
            if circle.chunks is not chunks:
                circle.chunks = chunks
                if chunks.root is not None:
                    root = load_root(chunks.root, self._key, circle.study)
                    circle.version, circle.listed = root.version, root.chunks
        return circle.chunks

    async def manifest(self, query: ManifestQuery) -> Manifest:
        """The newest root here, if it is newer."""
        study = StudyId(query.study)
        if not self._storage.holds(study):
            return Manifest(query.id, b"")
        circle = self.circle(study)
        chunks = await self.open(circle)
        newer = chunks.root is not None and circle.version > query.newer_than
        return Manifest(query.id, (chunks.root or b"") if newer else b"")

    async def segment(self, query: SegmentQuery) -> SegmentAnswer:
        """A segment, if it is here.

        Raises:
            NoSourceError: it is not.
        """
        study = StudyId(query.study)
        data = None
        if self._storage.holds(study):
            chunks = await self.open(self.circle(study))
            data = await chunks.segment(ChunkId(query.chunk))
        if data is None:
            raise NoSourceError("this segment is not held here")
        return SegmentAnswer(query.id, data)
