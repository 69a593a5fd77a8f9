from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import MockClock

from broker.database.db import BrokerDatabase
from broker.ingest.cancelled import CANCELLED, CancelledParts, CancelledStudies
from broker.ingest.sent import begin_sending, cancel_sending, find_sent
from broker.trail import audit
from p2pacs.errors import PacsUnreachableError
from p2pacs.ids import VirtualAddress
from tests.broker.ingest.test_forwarding import MEMBER, STUDY, UID, Home, opened


@asynccontextmanager
async def finishing(home: Home) -> AsyncIterator[CancelledStudies]:
    parts = CancelledParts(
        database=home.database,
        store=home.made.store,
        verifier=home.forwarding._parts.verifier,
        pacs=home.pacs,
        studies=home.made.keys,
        sending=home.sending,
        stored=lambda uid, changed: home.stored.append((uid, changed)),
    )
    made = CancelledStudies(parts)
    async with trio.open_nursery() as nursery:
        await nursery.start(made.run)
        yield made
        nursery.cancel_scope.cancel()


async def trail(database: BrokerDatabase) -> list[tuple[str, VirtualAddress | None]]:
    entries = await database.run(audit.read)
    return [(one.detail, one.address) for one in entries if one.what == CANCELLED]


async def test_what_came_is_counted_once_the_pacs_can_tell(
    tmp_path: Path, database: BrokerDatabase, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, database) as home:
        home.pacs.add(*STUDY[:3])
        home.pacs.error = PacsUnreachableError("away")
        home.sending.add(home.study)
        await database.run(lambda c: cancel_sending(c, home.study, len(STUDY)))
        async with finishing(home):  # also after a restart
            await trio.sleep(100)
            assert (await home.sent()).came is None
            assert home.study in home.sending, "nobody publishes it meanwhile"
            home.pacs.error = None
            await trio.sleep(60)
        assert (await home.sent()).came == 3
        assert await trail(database) == [("3 of 4 instances are in the central PACS", MEMBER)]
        assert home.stored == [(UID, True)]
        assert home.study not in home.sending


async def test_of_what_has_not_come_at_all_nothing_is_published(
    tmp_path: Path, database: BrokerDatabase, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, database) as home:
        await database.run(lambda c: cancel_sending(c, home.study, len(STUDY)))
        async with finishing(home):
            await trio.sleep(1)
        assert (await home.sent()).came == 0
        assert home.stored == [(UID, False)]


async def test_what_is_sent_again_meanwhile_is_left_to_its_sender(
    tmp_path: Path, database: BrokerDatabase, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, database) as home:
        home.pacs.error = PacsUnreachableError("away")
        await database.run(lambda c: cancel_sending(c, home.study, len(STUDY)))
        async with finishing(home) as cancelled:
            await trio.sleep(1)
            home.sending.add(home.study)
            cancelled.resumed(home.study)
            await database.run(lambda c: begin_sending(c, home.study, UID, MEMBER))
            home.pacs.error = None
            await trio.sleep(100)
        found = await database.run(lambda c: find_sent(c, home.study))
        assert found is not None
        assert (found.sending, found.came) == (True, None)
        assert home.study in home.sending
        assert not home.stored
