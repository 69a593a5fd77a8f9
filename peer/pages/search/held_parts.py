"""What the store has of studies, looked up once for each state of each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import trio

from p2pacs.errors import LocalError, ManifestError
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId
from p2pacs.store import ChunkStore, StudyInfo
from p2pacs.study.manifest import Root, load_root
from peer.pages.search.presence import HeldPart

KEPT: Final = 4096
"""Studies of which it is remembered."""


class HeldParts:
    """The store, as pages ask it."""

    def __init__(self, store: ChunkStore, keys: Verifier) -> None:
        self._store = store
        self._keys = keys
        self._roots: OrderedDict[StudyId, tuple[int, Root | None]] = OrderedDict()

    async def of(self, study: StudyId) -> HeldPart | None:
        """What is here of a study; None if nothing is."""
        info = self._store.info(study)
        if info is None:
            return None
        root = await self._root(info)
        if root is None:
            return HeldPart(info.chunks_held, 0, False, 0, info.pinned)
        whole = root.complete and info.chunks_held >= root.chunks
        return HeldPart(info.chunks_held, root.chunks, whole, root.version, info.pinned)

    async def _root(self, info: StudyInfo) -> Root | None:
        known = self._roots.get(info.study)
        if known is None or known[0] != info.version:
            known = self._roots[info.study] = info.version, await self._load(info.study)
            if len(self._roots) > KEPT:
                self._roots.popitem(last=False)
        self._roots.move_to_end(info.study)
        return known[1]

    async def _load(self, study: StudyId) -> Root | None:
        try:
            raw = (await self._store.study(study)).root
            if raw is None:
                return None
            return await trio.to_thread.run_sync(load_root, raw, self._keys, study)
        except (LocalError, ManifestError):
            return None  # what cannot be read is not here; whoever fetches it is told more
