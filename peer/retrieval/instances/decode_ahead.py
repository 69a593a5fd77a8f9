"""Images decoded before somebody asks for them: who reads a study that is here has it at the speed
of the disk from the first time on, and not of image codecs.

It is done once all of a study is here, by workers that nobody needs: they come after all else
(`p2pacs.workers.system`), one is left free, and nothing more is begun while somebody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import structlog
import trio
from attrs import frozen

from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.errors import P2PacsError
from p2pacs.ids import StudyId
from p2pacs.workers.coding import Workers
from peer.retrieval.instances.decoded_cache import DecodedCache
from peer.retrieval.instances.live_index import Known


@frozen
class AheadTuning:
    """What decoding ahead goes by."""

    share: int = 2
    """A study fills no more than this part of the cache: the last ones that were read stay."""

    pause: float = 0.25
    """Seconds between two looks whether nobody reads any more."""


TUNING: Final = AheadTuning()

log = structlog.get_logger(__name__)


class HeldStudy(Protocol):
    """A study that is here: see `peer.retrieval.study_fetch.StudyFetch`."""

    @property
    def study(self) -> StudyId:
        """Which."""

    @property
    def present(self) -> list[Known]:
        """Its instances."""

    @property
    def is_all_here(self) -> bool:
        """Whether all of them can be read."""

    async def refresh(self) -> None:
        """Read its index."""

    async def decode_ahead(self, known: Known, /) -> bool:
        """Decode one of them for the cache; whether there was anything to decode."""


class DecodeAhead:
    """Decodes studies, one after the other."""

    def __init__(
        self,
        decoded: DecodedCache,
        workers: Workers,
        is_read: Callable[[], bool],
        tuning: AheadTuning = TUNING,
    ) -> None:
        """Nothing is decoded before `decode`.

        Args:
            decoded: keeps what is decoded.
            workers: decode it.
            is_read: whether somebody reads anything here.
            tuning: what it goes by.
        """
        self._decoded = decoded
        self._workers = workers
        self._is_read = is_read
        self._tuning = tuning
        self._one = trio.Lock()

    @property
    def most(self) -> int:
        """Bytes of instances that are decoded of one study."""
        return self._decoded.capacity // self._tuning.share

    async def decode(self, held: HeldStudy) -> None:
        """Decode what is not kept of a study, in its order, as far as there is room for it."""
        async with self._one:
            try:
                await held.refresh()
            except P2PacsError as error:  # who reads it is told
                log.info("a study is not decoded", study=held.study.short, why=str(error))
                return
            chosen = iter(self._chosen(held))
            async with trio.open_nursery() as nursery:
                for _ in range(max(1, self._workers.count - 1)):
                    nursery.start_soon(self._decode_each, held, chosen)

    def _chosen(self, held: HeldStudy) -> list[Known]:
        left, chosen = self.most, list[Known]()
        for known in held.present:
            if known.entry.size > WHOLE_BYTES:  # it is never in memory as a whole
                continue
            left -= known.entry.size
            if left < 0:
                break
            if not self._decoded.holds(known.entry):
                chosen.append(known)
        return chosen

    async def _decode_each(self, held: HeldStudy, chosen: Iterator[Known]) -> None:
        for known in chosen:
            while self._is_read() or self._workers.waiting:  # noqa: ASYNC110 - of many parts
                await trio.sleep(self._tuning.pause)
            if not held.is_all_here:
                return
            if self._decoded.holds(known.entry):  # who read it meanwhile had it decoded
                continue
            try:
                await held.decode_ahead(known)
            except P2PacsError as error:
                log.info("an image is not decoded", study=held.study.short, why=str(error))
                return
