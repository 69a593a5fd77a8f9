"""The studies that one host has to do with: held, fetched, or joined by others."""

from __future__ import annotations

from collections.abc import Iterator

from p2pacs.errors import NoSourceError
from p2pacs.identity.keys import Verifier
from p2pacs.ids import ChunkId, StudyId, VirtualAddress
from p2pacs.mesh.connection import Connection
from p2pacs.study.manifest import load_root
from p2pacs.swarm.studies.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.studies.study_swarm import TUNING, StudySwarm, StudySwarmTuning
from p2pacs.wire.messages.messages import Manifest, ManifestQuery, SegmentAnswer, SegmentQuery


class OpenSwarms:
    """Study swarms by study id; what the store holds is opened when somebody asks for it."""

    def __init__(
        self,
        me: VirtualAddress,
        links: dict[VirtualAddress, Connection],
        storage: ChunkStorage,
        key: Verifier,
        tuning: StudySwarmTuning = TUNING,
    ) -> None:
        """No study is open yet.

        Args:
            me: This host.
            links: The open links.
            storage: Where chunks are kept.
            key: The broker's, which signs roots.
            tuning: Of each study's swarm.
        """
        self.tuning = tuning
        self._me = me
        self._links = links
        self._storage = storage
        self._key = key
        self._swarms: dict[StudyId, StudySwarm] = {}

    def __iter__(self) -> Iterator[StudySwarm]:
        return iter(list(self._swarms.values()))

    def get(self, study: StudyId) -> StudySwarm | None:
        """The swarm of a study, if there is one."""
        return self._swarms.get(study)

    def of(self, study: StudyId) -> StudySwarm:
        """The swarm of a study, made if there is none."""
        swarm = self._swarms.get(study)
        if swarm is None:
            seed = bytes(self._me) + bytes(study)
            swarm = self._swarms[study] = StudySwarm(study, self._links, seed, self.tuning)
        return swarm

    def remove(self, study: StudyId) -> StudySwarm | None:
        """Forget a study; what was known of it."""
        return self._swarms.pop(study, None)

    async def open(self, swarm: StudySwarm) -> StudyChunks:
        """The chunks of a study that the store holds.

        Raises:
            LocalError: the store cannot be read.
            ManifestError: the stored root is not the broker's.
        """
        if swarm.chunks is None or swarm.chunks.dropped:
            chunks = await self._storage.study(swarm.study)
            if swarm.chunks is not chunks:
                swarm.chunks = chunks
                if chunks.root is not None:
                    root = load_root(chunks.root, self._key, swarm.study)
                    swarm.go_by(root)
        return swarm.chunks

    async def manifest(self, query: ManifestQuery) -> Manifest:
        """The newest root here, if it is newer."""
        study = StudyId(query.study)
        if not self._storage.holds(study):
            return Manifest(query.id, b"")
        swarm = self.of(study)
        chunks = await self.open(swarm)
        newer = chunks.root is not None and swarm.version > query.newer_than
        return Manifest(query.id, (chunks.root or b"") if newer else b"")

    async def segment(self, query: SegmentQuery) -> SegmentAnswer:
        """A segment, if it is here.

        Raises:
            NoSourceError: it is not.
        """
        study = StudyId(query.study)
        data = None
        if self._storage.holds(study):
            chunks = await self.open(self.of(study))
            data = await chunks.segment(ChunkId(query.chunk))
        if data is None:
            raise NoSourceError("this segment is not held here")
        return SegmentAnswer(query.id, data)
