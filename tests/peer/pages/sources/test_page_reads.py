from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.accounts.sessions import Session
from p2pacs.errors import NotFoundError, StudyNotFoundError
from peer.pages.search.listing import StudyListing
from peer.pages.sources.page_reads import PageReads, PageReadTuning
from peer.retrieval.requester import Requester
from tests.peer.pages.served import Served, served
from tests.peer.world import reported

ANNA, BERT = Session("anna", "a"), Session("bert", "b")


def reads_of(pages: Served, told: float = 900.0) -> PageReads:
    peer, listing = pages.peer, pages.content.sources.listing
    assert isinstance(listing, StudyListing)
    tuning = PageReadTuning(told=told, remembered=2)
    return PageReads(peer.reads, listing.held, peer.audit, listing.get, tuning)


async def fetched(pages: Served) -> None:
    fetch = await pages.peer.reads.resume(pages.world.broker.study, Requester("x", "get"))
    await fetch.transfer.wait_complete()


async def test_the_audit_hears_once_of_each_who_looks(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        reads, study = reads_of(pages), pages.world.broker.study
        with pytest.raises(NotFoundError, match="fetch it first"):
            await reads.open(study, ANNA)
        await fetched(pages)
        asked = len(pages.world.broker.asked)
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(reads.open, study, ANNA)
        await reads.open(study, BERT)
        assert await reported(pages.world, pages.peer) == 2
        assert len(pages.world.broker.asked) == asked  # the broker is not asked for each picture
        again = reads_of(pages, told=0)
        for _ in range(3):
            await again.open(study, ANNA)
        assert await reported(pages.world, pages.peer) == 5


async def test_what_is_here_is_opened_though_the_broker_is_away(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        study = pages.world.broker.study
        await fetched(pages)
        pages.peer.reads.forget(study)
        await pages.world.stop("broker")
        with trio.fail_after(30):
            fetch = await reads_of(pages).open(study, ANNA)
        assert len(fetch.known) == 3


async def test_what_has_left_the_catalogue_is_not_shown(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        study = pages.world.broker.study
        await fetched(pages)
        await reads_of(pages).open(study, ANNA)
        record = await pages.content.sources.listing.get(study)
        pages.peer.index.remove([study])
        with pytest.raises(StudyNotFoundError):
            await reads_of(pages).open(study, ANNA)
        pages.peer.index.upsert([evolve(record)])
        await reads_of(pages).open(study, ANNA)
