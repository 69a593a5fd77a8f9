"""Studies that were published and that the store lost are fetched back from other members."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol

import structlog
import trio

from p2pacs.errors import P2PacsError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.download.transfer import Transfer, TransferState

log = structlog.get_logger(__name__)

SECONDS: Final = 600.0
"""To fetch one study back; then it is published anew from the PACS."""


class StudyDownloads(Protocol):
    """Who fetches studies (`p2pacs.swarm.download.downloads.Downloads`)."""

    @property
    def transfers(self) -> Mapping[StudyId, Transfer]:
        """The last transfer of each study."""

    def fetch(self, study: StudyId, *, holders: Iterable[VirtualAddress]) -> Transfer:
        """Fetch a study, or go on with it."""


class StudyRecovery:
    """Fetches studies back.

    Args:
        downloads: the broker's own.
        holders: who holds a study, as far as members have said so.
        seconds: how long one study may take.
    """

    def __init__(
        self,
        downloads: StudyDownloads,
        holders: Callable[[StudyId], Collection[VirtualAddress]],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._downloads = downloads
        self._holders = holders
        self._seconds = seconds

    def is_fetching(self, study: StudyId) -> bool:
        """Whether a study is on its way back."""
        transfer = self._downloads.transfers.get(study)
        return transfer is not None and transfer.state is TransferState.FETCHING

    async def recover(self, study: StudyId) -> bool:
        """Fetch what was published of a study; whether that worked."""
        holders = self._holders(study)
        if not holders:
            return False
        log.warning("a published study is fetched back", study=study.short, holders=len(holders))
        transfer = self._downloads.fetch(study, holders=holders)
        try:
            with trio.fail_after(self._seconds):
                await transfer.wait_complete()
        except (P2PacsError, trio.TooSlowError):
            transfer.cancel()
            return False
        return True
