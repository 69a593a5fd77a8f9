from datetime import date, timedelta
from random import Random

import pytest

from broker.pacs.adapter import ENOUGH, DateSpan, Found
from broker.pacs.queries.days import Window
from broker.pacs.queries.windows import by_windows
from p2pacs.catalogue.matching import matches
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag

TODAY = date(2024, 6, 1)


class Pacs:
    """Answers at most ``limit`` studies, and says nothing of it."""

    def __init__(
        self,
        studies: list[tuple[str, str]],
        limit: int = ENOUGH,
        *,
        says: bool = False,
        times: bool = True,
        patients: list[str] | None = None,
        modalities: list[str] | None = None,
    ) -> None:
        self.limit = limit
        self.says = says
        self.times = times
        """Whether it matches times."""
        self.incomplete: list[bool] = []
        self.asked = 0
        self.studies: list[Json] = [
            {
                tag("StudyInstanceUID"): entry("UI", str(number)),
                tag("StudyDate"): entry("DA", day),
                tag("StudyTime"): entry("TM", time),
                tag("PatientID"): entry("LO", patients[number] if patients else f"P{number}"),
                tag("ModalitiesInStudy"): entry("CS", modalities[number] if modalities else "CT"),
            }
            for number, (day, time) in enumerate(studies)
        ]
        self._values = {
            keyword: [text(study, keyword) for study in self.studies]
            for keyword in ("StudyDate", "StudyTime", "PatientID", "ModalitiesInStudy")
        }

    async def ask(self, window: Window) -> Found:
        self.asked += 1
        asked = {
            "StudyDate": ("DA", window.dates),
            "StudyTime": ("TM", window.times if self.times else None),
            "PatientID": ("LO", window.patient),
            "ModalitiesInStudy": ("CS", window.modality),
        }
        numbers = list(range(len(self.studies)))
        for keyword, (vr, wanted) in asked.items():
            if not wanted:
                continue
            values = self._values[keyword]
            fitting = {value for value in set(values) if matches(vr, wanted, [value])}
            numbers = [number for number in numbers if values[number] in fitting]
        found = [self.studies[number] for number in numbers]
        return Found(found[: self.limit], is_cut=self.says and len(found) > self.limit)

    async def all(self, span: DateSpan = DateSpan()) -> list[str]:  # noqa: B008
        found = by_windows(self.ask, span, TODAY, lambda: self.incomplete.append(True))
        return [text(s, "StudyInstanceUID") async for s in found]


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

    async def ask(window: Window) -> Found:
        hidden = "3" if window.dates else ""
        found = await pacs.ask(window)
        return Found([one for one in found.usable if text(one, "StudyInstanceUID") != hidden])

    windows = by_windows(ask, DateSpan(), TODAY, lambda: None)
    found = [text(study, "StudyInstanceUID") async for study in windows]
    assert sorted(found) == [str(number) for number in range(6)]


SAME = [(f"{TODAY:%Y%m%d}", "101500")]


@pytest.mark.parametrize("limit", [13, 30, 31, 50, 51, 100, 101, 137, 200])
@pytest.mark.parametrize("says", [False, True])
async def test_a_day_beyond_any_usual_limit(limit: int, says: bool) -> None:
    pacs = Pacs(days(1, 330), limit, says=says)
    assert len(set(await pacs.all())) == 330
    assert pacs.incomplete == []


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("time", ["101500", ""])
async def test_a_minute_with_too_many_is_split_by_patient(times: bool, time: str) -> None:
    pacs = Pacs([(SAME[0][0], time)] * 330, 100, times=times)
    assert len(set(await pacs.all())) == 330
    assert pacs.incomplete == []


async def test_a_patient_with_too_many_is_split_by_modality() -> None:
    modalities = [("CT", "MR", "US", "CR")[n % 4] for n in range(330)]
    pacs = Pacs(SAME * 330, 100, patients=["P"] * 330, modalities=modalities)
    assert len(set(await pacs.all())) == 330
    assert pacs.incomplete == []


async def test_what_cannot_be_split_is_said() -> None:
    pacs = Pacs(SAME * 330, 100, patients=["P"] * 330)
    assert len(set(await pacs.all())) == 100
    assert pacs.incomplete
    assert pacs.asked < 5000


async def test_an_answer_that_only_looks_cut_costs_little_and_is_whole() -> None:
    pacs = Pacs(days(1, 100), 1000)
    assert len(await pacs.all()) == 100
    assert pacs.incomplete == []
    assert pacs.asked < 200


@pytest.mark.parametrize("limit", [31, 73])
async def test_a_limit_that_is_not_usual_hides_nothing_of_the_last_days(limit: int) -> None:
    pacs = Pacs(days(2, 72), limit)
    assert len(set(await pacs.all(DateSpan(first=TODAY - timedelta(days=3))))) == 144
    assert pacs.incomplete == []


async def test_few_more_queries_where_there_is_no_limit() -> None:
    pacs = Pacs(days(3, 30), 100_000)
    assert len(await pacs.all()) == 90
    assert pacs.asked < 60


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_is_missed_in_silence(seed: int) -> None:
    """Whatever the limit is, and whatever studies lack."""
    random = Random(seed)  # noqa: S311
    limit = random.choice([10, 13, 30, 37, 50, 73, 100, 101, 200])
    undated, untimed = random.choice([0, 0.1, 0.5, 1]), random.choice([0, 0.3, 1])
    last, patients = random.choice([1, 2, 5, 60]), random.choice([1, 5, 500])
    numbers = range(random.randrange(260))
    studies = [
        (
            "" if random.random() < undated else days(last, 1)[random.randrange(last)][0],
            "" if random.random() < untimed else f"{random.randrange(24):02}1500",
        )
        for _ in numbers
    ]
    pacs = Pacs(
        studies,
        limit,
        says=random.random() < 0.3,
        times=random.random() < 0.7,
        patients=[f"P{random.randrange(random.choice([1, patients]))}" for _ in numbers],
        modalities=[random.choice(["CT", "MR", "ODD"]) for _ in numbers],
    )
    assert len(set(await pacs.all())) == len(studies) or pacs.incomplete


@pytest.mark.parametrize("limit", [30, 37, 73])
async def test_studies_without_a_date_are_all_found_whatever_the_limit(limit: int) -> None:
    pacs = Pacs([("", "")] * 90, limit)
    assert len(set(await pacs.all())) == 90
    assert not pacs.incomplete


async def test_a_modality_that_nobody_thought_of_is_asked_for_once_it_was_seen() -> None:
    modalities = ["ODD", *["CT"] * 25, *["ODD"] * 25]
    pacs = Pacs([("20240601", "101500")] * 51, 30, patients=["P"] * 51, modalities=modalities)
    assert len(set(await pacs.all())) == 51
