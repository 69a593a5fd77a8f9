"""Live progress bars: one for each transfer, and below it one for each uploader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from scripts.member import Peer, TransferState


class Live:
    """Bars on a terminal, from what each hospital's local API says."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @asynccontextmanager
    async def following(self, peer: Peer, title: str) -> AsyncIterator[None]:
        """Shows the transfer of this peer while the block runs."""
        progress = Progress(
            TextColumn("{task.description:<30}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        with progress:
            bars = _Bars(progress, title)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_follow, peer, bars)
                yield
                nursery.cancel_scope.cancel()
            if (transfer := await peer.transfer()) is not None:
                bars.show(transfer)


async def _follow(peer: Peer, bars: _Bars) -> None:
    async with aclosing(peer.transfers()) as transfers:
        async for transfer in transfers:
            bars.show(transfer)


class _Bars:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._whole = progress.add_task(title, total=None)
        self._sources: dict[str, TaskID] = {}

    def show(self, transfer: TransferState) -> None:
        """Brings the bars up to date."""
        total = transfer.bytes_total
        self._progress.update(self._whole, completed=transfer.bytes_received, total=total)
        for name, received in sorted(transfer.sources.items()):
            if name not in self._sources:
                self._sources[name] = self._progress.add_task(f"  from {name}", total=total)
            self._progress.update(self._sources[name], completed=received, total=total)
