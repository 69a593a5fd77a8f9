"""The broker is told what is held here, so that it knows who can serve a study."""

from __future__ import annotations

from typing import Final

import structlog
import trio

from p2pacs.errors import P2PacsError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId
from p2pacs.retention.possession import holds_whole
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Announce

WAITING: Final = 1024
"""Transfers whose end is awaited at most: more than the swarm remembers."""

log = structlog.get_logger(__name__)


class HoldingsAnnouncer:
    """Announces what begins, what is complete and what is gone."""

    def __init__(self, host: Host, store: ChunkStore, keys: Verifier) -> None:
        self._host = host
        self._store = store
        self._keys = keys
        self._send, self._receive = trio.open_memory_channel[Transfer | None](WAITING)
        self._followed: set[Transfer] = set()

    async def run(self) -> None:
        """Announce for ever."""
        async with trio.open_nursery() as nursery:
            async for transfer in self._receive:
                if transfer is None:
                    await self._announce_all()
                else:
                    nursery.start_soon(self._follow, transfer)

    def began(self, transfer: Transfer) -> None:
        """A transfer was started, or is still going on."""
        if transfer not in self._followed:
            self._followed.add(transfer)
            self._post(transfer)

    def linked(self) -> None:
        """The broker is there (again): tell it everything."""
        self._post(None)

    def published(self, study: StudyId, version: int, complete: bool) -> None:
        """A version of a study that is made here is out."""
        self._tell(study, version, held=True, complete=complete)

    def dropped(self, study: StudyId) -> None:
        """A study is no longer held."""
        self._tell(study, 0, held=False, complete=False)

    def _post(self, what: Transfer | None) -> None:
        try:
            self._send.send_nowait(what)
        except trio.WouldBlock:
            log.warning("too much to announce: the broker learns of it when it is next linked")

    async def _follow(self, transfer: Transfer) -> None:
        self._tell(transfer.study, _version(transfer), held=True, complete=False)
        try:
            await transfer.wait_complete()
            self._tell(transfer.study, _version(transfer), held=True, complete=True)
        except P2PacsError as error:
            log.info("transfer not complete", study=transfer.study.short, error=str(error))
        finally:
            self._followed.discard(transfer)

    async def _announce_all(self) -> None:
        for info in self._store.studies():
            try:
                whole = await holds_whole(self._store, self._keys, info.study, info.version)
            except P2PacsError as error:
                log.warning("stored study not usable", study=info.study.short, error=str(error))
                continue
            self._tell(info.study, info.version, held=True, complete=whole)

    def _tell(self, study: StudyId, version: int, *, held: bool, complete: bool) -> None:
        news = Announce(study.raw, version, held=held, complete=complete)
        self._host.tell_linked(news, [Role.BROKER])


def _version(transfer: Transfer) -> int:
    return transfer.root.version if transfer.root else 0
