from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import RevokedError, StudyNotFoundError, UsageError
from p2pacs.ids import StudyId
from p2pacs.pages.search.found_studies import PAGE
from p2pacs.pages.search.search_form import PAGES, StudySearch
from peer.app import Peer
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.listing import StudyListing
from peer.pages.search.presence import Presence
from peer.pages.search.sender_words import ShownSender
from peer.pages.search.sent_listing import SentListing
from peer.retrieval.requester import Requester
from tests.p2pacs.catalogue.samples import study
from tests.peer.world import instances, open_world
from tests.waiting import eventually

TODAY = date(2024, 3, 1)
NOTHING = StudySearch()


class NothingHeld:
    async def of(self, _study: StudyId) -> None:
        return None


class NothingSent:
    async def of(self, _studies: Collection[StudyId]) -> dict[StudyId, ShownSender]:
        return {}


def listing(index: CatalogueIndex, check: Callable[[], None] = lambda: None) -> StudyListing:
    held: Any = NothingHeld()
    sent: Any = NothingSent()
    return StudyListing(index, held, sent, {}, paused=frozenset, check_membership=check)


async def test_pages_are_newest_first_and_each_study_is_on_one(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    count = 2 * PAGE + 3
    index.upsert(
        study(n, date=f"2024{1 + n % 3:02}01", StudyTime=("TM", f"{n % 24:02}0000"))
        for n in range(1, count + 1)
    )
    pages = [await listing(index).find(NOTHING, number, TODAY) for number in (1, 2, 3)]
    assert [(len(page.rows), page.more) for page in pages] == [
        (PAGE, True),
        (PAGE, True),
        (3, False),
    ]
    rows = [row for page in pages for row in page.rows]
    assert len({row.study for row in rows}) == count
    when = [(row.text("StudyDate"), row.text("StudyTime")) for row in rows]
    assert when == sorted(when, reverse=True)
    assert rows[0].where.presence is Presence.PACS
    assert not (await listing(index).find(NOTHING, 4, TODAY)).rows
    for number in (0, PAGES + 1):
        with pytest.raises(UsageError):
            await listing(index).find(NOTHING, number, TODAY)
    index.close()


async def test_a_revoked_member_finds_nothing(tmp_path: Path) -> None:
    def revoked() -> None:
        raise RevokedError("was revoked")

    index = CatalogueIndex(tmp_path / "catalogue.db")
    index.upsert([study(1)])
    with pytest.raises(RevokedError):
        await listing(index, revoked).find(NOTHING, 1, TODAY)
    with pytest.raises(RevokedError):
        await listing(index, revoked).get(study(1).study)
    with pytest.raises(StudyNotFoundError):
        await listing(index).get(study(2).study)
    index.close()


async def test_where_a_study_is_follows_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        peer: Peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        transfers = peer.host.engine.downloads.transfers
        held = HeldParts(peer.store, peer.book.keys)
        sent = SentListing(peer.sent_here, peer.index, peer.book)
        listed = StudyListing(
            peer.index,
            held,
            sent,
            transfers,
            paused=lambda: peer.pending.paused,
            check_membership=lambda: None,
        )

        async def where() -> Presence:
            (row,) = (await listed.find(StudySearch(name="grün"), 1, TODAY)).rows
            return row.where.presence

        assert await where() is Presence.NETWORK
        requester = Requester("anna", "get")
        fetch = await peer.reads.open(world.broker.uid, requester)
        await eventually(lambda: len(fetch.transfer.have) > 0)
        assert await where() is Presence.COMING
        await peer.pending.pause(fetch, requester)
        assert await where() is Presence.PAUSED
        await peer.pending.cancel(world.broker.study)
        assert await where() is Presence.FAILED
        await world.broker.publish(instances(1, first=3))
        fetch = await peer.reads.open(world.broker.uid, requester)
        await fetch.transfer.wait_complete()
        await eventually(lambda: (peer.store.info(world.broker.study) or 0) != 0)
        assert await where() is Presence.HERE
        (await peer.store.study(world.broker.study)).pin()
        (row,) = (await listed.find(NOTHING, 1, TODAY)).rows
        assert row.where.pinned
