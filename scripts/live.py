"""Live progress bars: one for each transfer, and below it one for each uploader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import trio
from rich.console import Console

from peer.api.client import PeerClient
from peer.commands.output.bars import Bars
from scripts.member import PeerProcess


class Live:
    """Bars on a terminal, from what each hospital's local API says."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @asynccontextmanager
    async def following(self, peer: PeerProcess, title: str) -> AsyncIterator[None]:
        """Shows the newest transfer of this peer while the block runs."""
        async with PeerClient.connect(peer.folder) as client:
            with Bars(self._console, title, instances=False) as bars:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_follow, client, bars)
                    yield
                    nursery.cancel_scope.cancel()
                _show(bars, await client.status())


async def _follow(client: PeerClient, bars: Bars) -> None:
    async with client.events() as events, aclosing(events):
        async for said in events:
            _show(bars, said)


def _show(bars: Bars, said: dict[str, Any]) -> None:
    for newest in said["transfers"][:1]:
        bars.transfer(newest)
