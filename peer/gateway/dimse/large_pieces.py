"""A large instance of a C-MOVE or C-GET: read on the trio side while a DICOM thread sends it."""

from __future__ import annotations

import queue
from typing import Final

import trio

from p2pacs.dataset.large import LargeInstance
from peer.gateway.dimse.bridge import Bridge
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.read_ahead import ThreadReadAhead
from peer.retrieval.large_reads import (
    AHEAD,
    AHEAD_BYTES,
    ExactPieces,
    PieceRequests,
    large_instance,
)
from peer.retrieval.study_fetch import StudyFetch

LOOK: Final = 0.1
"""Seconds of one wait for a piece; it ends with the reading, however that ends."""


class LargePieces:
    """A large instance on its way to the thread that sends it."""

    def __init__(self, bridge: Bridge, fetch: StudyFetch, known: Known) -> None:
        """Nothing is read before the first piece is taken.

        Args:
            bridge: to the trio side.
            fetch: the study.
            known: which instance of it.
        """
        self._bridge = bridge
        requests = PieceRequests(fetch, known).all()
        self._ahead = ThreadReadAhead(requests, bridge.soon, AHEAD, AHEAD_BYTES)
        self._exact = ExactPieces(known.entry, fetch.study.short)
        self._begun = False
        self.scope = trio.CancelScope()
        """In which it is read: to be cancelled at the end."""
        self.instance: LargeInstance = large_instance(known.entry, self.take)
        """It, to be read once and in order, in the thread that sends it."""

    def take(self) -> bytes | None:
        """The next piece; None after the last.

        Raises:
            P2PacsError: why it, or all that follow, cannot be read.
        """
        if not self._begun:
            self._begun = True
            self._bridge.begin(self._run)
        while True:
            try:
                piece = self._ahead.take(LOOK)
            except queue.Empty:
                continue
            return None if piece is None else self._exact.checked(piece)

    async def _run(self) -> None:
        with self.scope:
            await self._ahead.run()
