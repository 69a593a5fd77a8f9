"""What the catalogue tells of a study, and waiting for its news."""

import trio
from attrs import define, field

from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.signals import Watch
from p2pacs.ids import StudyId
from peer.gateway.studies.announced import NEWS, Announced

STUDY = StudyId(bytes(16))


@define
class News:
    """Pages of a feed."""

    pages: int = 0
    watch: Watch = field(factory=Watch)

    async def further(self, since: int) -> None:
        await self.watch.until(lambda: self.pages > since)

    def come(self) -> None:
        self.pages += 1
        self.watch.changed()


@define(eq=False)
class Told(Announced):
    """Tells of ever fewer instances, one less each time."""

    counts: list[int] = field(factory=list)

    async def count(self, study: StudyId) -> int:
        return self.counts.pop(0)


def announced(news: News, *counts: int) -> Told:
    asked = Selection("IMAGE", (), (), (), ())
    return Told(None, news, asked, list(counts))  # type: ignore[arg-type]


@define
class Records:
    """A catalogue that has no record of any study."""

    asked: int = 0

    def get(self, study: StudyId) -> None:
        self.asked += 1


async def test_it_is_counted_once_until_there_are_news() -> None:
    records, news = Records(), News()
    asked = Selection("IMAGE", (), (), (), ())
    told = Announced(records, news, asked)  # type: ignore[arg-type]
    assert [await told.count(STUDY) for _ in range(3)] == [0, 0, 0]
    assert records.asked == 1
    news.come()
    await told.count(STUDY)
    await told.count(StudyId(bytes(15) + b"1"))
    assert records.asked == 3


async def test_what_was_looked_up_before_is_not_looked_up_again() -> None:
    records, news = Records(), News()
    told = Announced(records, news, Selection("IMAGE", (), (), (), ()))  # type: ignore[arg-type]
    news.come()
    told.take(StudyRecord(STUDY, "1.2", {"00201208": {"vr": "IS", "Value": [7]}}))
    await told.count(STUDY)
    assert records.asked == 1, "there were news since"
    told = Announced(records, news, Selection("IMAGE", (), (), (), ()))  # type: ignore[arg-type]
    told.take(StudyRecord(STUDY, "1.2", {"00201208": {"vr": "IS", "Value": [7]}}))
    assert await told.count(STUDY) == 7
    assert records.asked == 1


async def test_as_many_as_there_are() -> None:
    assert await announced(News(), 3).beyond(STUDY, 3) == 0
    assert await announced(News(), 0).beyond(STUDY, 3) == 0


async def test_without_patience_it_is_asked_once() -> None:
    assert await announced(News(), 5).beyond(STUDY, 3, 0) == 2


async def test_news_are_waited_for(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    news = News()

    async def come() -> None:
        for _ in range(2):
            await trio.sleep(1)
            news.come()

    nursery.start_soon(come)
    begin = trio.current_time()
    assert await announced(news, 5, 4, 3).beyond(STUDY, 3) == 0
    assert trio.current_time() - begin == 2


async def test_what_does_not_come_is_missing(autojump_clock: trio.abc.Clock) -> None:
    begin = trio.current_time()
    assert await announced(News(), 5).beyond(STUDY, 3) == 2
    assert trio.current_time() - begin == NEWS
