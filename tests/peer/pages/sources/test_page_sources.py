from pathlib import Path

import trio

from p2pacs.pages.live_updates import LiveTuning
from peer.pages.sources.page_sources import PageSources
from tests.peer.world import open_world
from tests.waiting import eventually


async def test_what_pages_show_is_what_the_peer_has(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        sources = PageSources.of(peer.content_parts(tmp_path / "a"), LiveTuning())
        assert sources.parts.transfers is peer.host.engine.downloads.transfers
        assert sources.parts.me() == peer.identity.address
        assert await sources.notes.all() == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sources.run)
            while not await sources.notes.all():  # the first note is made at once
                pass
            nursery.cancel_scope.cancel()
        await eventually(lambda: not len(sources.live))
