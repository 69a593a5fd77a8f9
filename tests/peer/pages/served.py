"""A hospital with its pages on a real socket, in a world whose broker has a study."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import trio
from attrs import frozen

from p2pacs.accounts.people import add_account
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.pages.live_updates import LiveTuning
from peer.accounts.rights import UserRole
from peer.app import Peer
from peer.config import save_peer_settings
from peer.pages.content import PagesContent
from peer.pages.serving import PagesParts, run_pages
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import PASSWORD, Browser
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually

LIVE: Final = LiveTuning(heartbeat=0.5)
"""A session that is over is noticed soon."""


@frozen
class Served:
    """Pages that are served."""

    world: World
    peer: Peer
    url: str
    content: PagesContent

    @property
    def study(self) -> str:
        """Where the one study is."""
        return f"/studies/{self.world.broker.study}"

    @asynccontextmanager
    async def browser(self, role: UserRole = UserRole.RADIOLOGIST) -> AsyncIterator[Browser]:
        """A browser in which an account of this role is signed in."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as http:
            browser = Browser(http)
            assert (await browser.sign_in(role)).status_code == 303
            yield browser


@asynccontextmanager
async def served(
    folder: Path,
    sent: Sequence[EncodedInstance] | None = None,
    *,
    prepare: Callable[[World], None] = lambda _world: None,
    complete: bool = True,
    live: LiveTuning = LIVE,
    **settings: object,
) -> AsyncIterator[Served]:
    """A hospital that knows of a study, and nothing of it is here."""
    async with open_world(folder) as world:
        prepare(world)
        await world.broker.publish(instances(3) if sent is None else sent, complete=complete)
        said = {"web": {"listen": "127.0.0.1:0"}, **settings}
        peer = await world.add("a", **said)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        for role in UserRole:
            await peer.database.run(partial(_account, role))
        save_peer_settings(folder / "a", peer.settings)
        content = PagesContent(peer.content_parts(folder / "a"), live)
        parts = PagesParts(peer.database, peer.identity.address, blind=False, content=content)
        async with trio.open_nursery() as nursery:
            run = partial(run_pages, parts, folder / "a", peer.settings)
            url = await nursery.start(run)
            assert url is not None
            yield Served(world, peer, url, content)
            nursery.cancel_scope.cancel()


def _account(role: UserRole, connection: object) -> None:
    add_account(connection, role, PASSWORD, role, CHEAP)  # type: ignore[arg-type]
