from datetime import date, timedelta

import pytest

from broker.pacs.adapter import DateSpan
from broker.pacs.windows import ENOUGH, by_windows
from p2pacs.catalogue.matching import matches
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag

TODAY = date(2024, 6, 1)


class Pacs:
    """Answers at most ``limit`` studies, and says nothing of it."""

    def __init__(self, studies: list[tuple[str, str]], limit: int = ENOUGH) -> None:
        self.limit = limit
        self.asked = 0
        self.studies: list[Json] = [
            {
                tag("StudyInstanceUID"): entry("UI", str(number)),
                tag("StudyDate"): entry("DA", day),
                tag("StudyTime"): entry("TM", time),
            }
            for number, (day, time) in enumerate(studies)
        ]

    async def ask(self, dates: str, times: str) -> list[Json]:
        self.asked += 1
        return [
            study
            for study in self.studies
            if matches("DA", dates, [text(study, "StudyDate")])
            and matches("TM", times, [text(study, "StudyTime")])
        ][: self.limit]

    async def all(self, span: DateSpan = DateSpan()) -> list[str]:  # noqa: B008
        return [text(s, "StudyInstanceUID") async for s in by_windows(self.ask, span, TODAY)]


def days(count: int, each: int, first: date = TODAY) -> list[tuple[str, str]]:
    return [
        (f"{first - timedelta(days=n):%Y%m%d}", f"{(7 * m) % 24:02}{m % 60:02}00")
        for n in range(count)
        for m in range(each)
    ]


@pytest.mark.parametrize(
    "studies",
    [
        [],
        days(1, 1),
        days(30, 40),
        days(2, 5, date(1975, 1, 1)),
        days(1, 3, date(2031, 1, 1)),
        [*days(400, 3), *days(2, 150, date(2001, 5, 5))],
    ],
)
async def test_a_pacs_that_limits_its_answers_gives_all(studies: list[tuple[str, str]]) -> None:
    found = await Pacs(studies).all()
    assert sorted(found, key=int) == [str(number) for number in range(len(studies))]


async def test_a_day_with_more_than_the_limit_is_split_by_time() -> None:
    found = await Pacs(days(1, 900)).all()
    assert len(found) == len(set(found)) == 900


async def test_few_queries_for_an_empty_century() -> None:
    pacs = Pacs(days(1, 1))
    await pacs.all()
    assert pacs.asked < 25


async def test_a_span_is_kept() -> None:
    pacs = Pacs(days(10, 1))
    assert len(await pacs.all(DateSpan(first=TODAY - timedelta(days=2)))) == 3
    assert len(await pacs.all(DateSpan(last=TODAY - timedelta(days=2)))) == 8
    assert len(await pacs.all(DateSpan(TODAY, TODAY))) == 1


async def test_studies_without_a_date_are_found_in_a_small_pacs() -> None:
    found = await Pacs([("", ""), *days(3, 2)]).all()
    assert sorted(found) == [str(n) for n in range(7)]
    assert "0" not in await Pacs([("", ""), *days(3, 2)]).all(DateSpan(first=date(2020, 1, 1)))


async def test_a_study_that_is_not_found_by_the_date_it_is_shown_with() -> None:
    pacs = Pacs(days(3, 2))

    async def ask(dates: str, times: str) -> list[Json]:
        answers = await pacs.ask(dates, times)
        return [one for one in answers if not dates or text(one, "StudyInstanceUID") != "3"]

    found = [text(study, "StudyInstanceUID") async for study in by_windows(ask, DateSpan(), TODAY)]
    assert sorted(found) == [str(number) for number in range(6)]
