from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.pages.search.found_studies import find_studies
from p2pacs.pages.search.search_form import SENT, StudySearch
from p2pacs.swarm.scheduling.priority import Priority
from peer.db import open_database
from peer.pages.search.sent_listing import SentListing
from peer.retrieval.audit import AuditQueue
from peer.retrieval.sent_here import SentHere, StudiesSentHere
from tests.p2pacs.catalogue.samples import study

NORTH = VirtualAddress(b"\xfd" + bytes(15))
TODAY = date(2024, 3, 1)


@frozen
class Known:
    index: CatalogueIndex
    sent: StudiesSentHere
    audit: AuditQueue
    listing: SentListing

    async def found(self, **search: str) -> list[int]:
        """The numbers of what a search for studies that were sent finds."""
        wanted = StudySearch(sent=SENT, **search)
        among = await self.listing.in_order()
        found = await find_studies(self.index, wanted, 1, TODAY, among=among)
        return [number(one.study) for one in found.records]


def number(of: object) -> int:
    return next(one for one in range(1, 9) if study(one).study == of)


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Known]:
    """Of four studies, the second to the fourth were sent here; a fifth that was is not listed."""
    async with open_database(tmp_path / "peer.db") as database:
        index = CatalogueIndex(tmp_path / "catalogue.db")
        index.upsert([study(n, date=f"2024010{n}") for n in range(1, 5)])
        member = SimpleNamespace(name="north", role=Role.HOSPITAL)
        book: Any = SimpleNamespace(directory=SimpleNamespace(get={NORTH: member}.get))
        sent = StudiesSentHere(database)
        urgency = {2: Priority.STAT, 3: Priority.INTERACTIVE, 4: Priority.STAT, 5: Priority.STAT}
        for n, priority in urgency.items():
            await sent.note(SentHere(study(n).study, NORTH, priority, 1_000 * n))
        yield Known(index, sent, AuditQueue(database), SentListing(sent, index, book))
        index.close()


async def read(known: Known, n: int) -> None:
    await known.audit.record(study(n).study, caller="anna", purpose="looked at on the page")


async def test_emergencies_that_nobody_read_stand_first(known: Known) -> None:
    assert await known.found() == [4, 2, 3]
    await read(known, 4)
    assert await known.found() == [2, 3, 4]
    await read(known, 2)
    await read(known, 3)
    assert await known.found() == [4, 3, 2]


async def test_a_search_looks_among_them(known: Known) -> None:
    assert await known.found(since="2024-01-01", until="2024-01-03") == [2, 3]
    assert await known.found(patient="of nobody") == []


async def test_what_cannot_be_read_does_not_count_as_new(known: Known) -> None:
    assert [number(one.study) for one in await known.listing.unread()] == [4, 3, 2]
    await read(known, 3)
    assert [number(one.study) for one in await known.listing.unread()] == [4, 2]


async def test_who_sent_it_is_named(known: Known) -> None:
    told = await known.listing.of([study(1).study, study(2).study])
    assert {study: one.name for study, one in told.items()} == {study(2).study: "north"}
