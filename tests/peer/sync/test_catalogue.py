from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import encode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import LinkClosedError, MalformedMessageError, ProtocolError
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import CataloguePage, CatalogueQuery
from peer.sync.catalogue import CatalogueFollower


def _record(number: int, version: int = 1) -> StudyRecord:
    uid = f"1.2.{number}"
    attributes = {"0020000D": {"vr": "UI", "Value": [uid]}}
    return StudyRecord(StudyId(number.to_bytes(16, "big")), uid, attributes, version=version)


class Broker:
    """Serves its own index as feed, two entries a page."""

    def __init__(self, path: Path) -> None:
        self.index = CatalogueIndex(path)
        self.away = False
        self.asked = 0

    async def __call__(self, query: CatalogueQuery) -> CataloguePage:
        self.asked += 1
        if self.away:
            raise LinkClosedError("away")
        page = self.index.since(query.since, limit=2)
        entries = [encode_entry(entry) for entry in page.entries]
        return CataloguePage(0, entries, page.until, page.more, page.reset)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "broker.db")
    yield broker
    broker.index.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CatalogueIndex]:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    yield index
    index.close()


async def test_the_feed_is_read_to_its_end(broker: Broker, index: CatalogueIndex) -> None:
    broker.index.upsert(_record(number) for number in range(5))
    follower = CatalogueFollower(index, broker)
    assert follower.age is None
    await follower.catch_up()
    assert len(index) == 5
    assert follower.age is not None


async def test_changes_and_tombstones_follow(broker: Broker, index: CatalogueIndex) -> None:
    broker.index.upsert(_record(number) for number in range(3))
    follower = CatalogueFollower(index, broker)
    await follower.catch_up()
    broker.index.upsert([_record(1, version=2)])
    broker.index.remove([_record(0).study])
    await follower.catch_up()
    assert len(index) == 2
    found = index.by_uid("1.2.1")
    assert found is not None
    assert found.version == 2


async def test_a_feed_that_starts_anew_forgets_what_was_held(
    broker: Broker, index: CatalogueIndex, tmp_path: Path
) -> None:
    broker.index.upsert(_record(number) for number in range(3))
    await CatalogueFollower(index, broker).catch_up()
    other = Broker(tmp_path / "restored.db")
    other.index.upsert(_record(number) for number in range(10, 15))
    await CatalogueFollower(index, other).catch_up()
    assert len(index) == 5
    assert index.by_uid("1.2.1") is None
    other.index.close()


async def test_the_catalogue_stays_while_the_broker_is_away(
    broker: Broker, index: CatalogueIndex, autojump_clock: MockClock
) -> None:
    broker.index.upsert([_record(1)])
    follower = CatalogueFollower(index, broker)
    await follower.catch_up()
    broker.away = True
    with pytest.raises(LinkClosedError):
        await follower.catch_up()
    assert len(index) == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follower.run)
        while broker.asked < 6:
            await trio.sleep(1)
        broker.away = False
        broker.index.upsert([_record(2)])
        follower.wake()
        while len(index) < 2:
            await trio.sleep(1)
        nursery.cancel_scope.cancel()


async def test_a_page_that_cannot_be_read_changes_nothing(index: CatalogueIndex) -> None:
    index.apply([_record(1)], 5)

    async def ask(query: CatalogueQuery) -> CataloguePage:
        return CataloguePage(0, [encode_entry(_record(2)), b"rubbish"], 9, False, False)

    with pytest.raises(MalformedMessageError):
        await CatalogueFollower(index, ask).catch_up()
    assert (len(index), index.position) == (1, 5)


async def test_a_feed_that_does_not_move_on_is_refused(index: CatalogueIndex) -> None:
    async def ask(query: CatalogueQuery) -> CataloguePage:
        return CataloguePage(0, [], query.since, True, False)

    with pytest.raises(ProtocolError, match="does not move on"):
        await CatalogueFollower(index, ask).catch_up()
