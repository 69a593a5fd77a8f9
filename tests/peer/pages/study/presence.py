"""Waits until a study is somewhere, as its page says."""

import trio

from peer.pages.search.presence import Presence
from tests.peer.pages.served import Served


async def where(pages: Served) -> Presence:
    record = await pages.content.sources.listing.get(pages.world.broker.study)
    return (await pages.content.sources.listing.row(record)).where.presence


async def until(pages: Served, presence: Presence) -> None:
    with trio.fail_after(60):
        while await where(pages) is not presence:
            await trio.sleep(0.01)
