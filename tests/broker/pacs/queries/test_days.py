import trio
from hypothesis import given
from hypothesis import strategies as st

from broker.pacs.adapter import Found
from broker.pacs.queries.days import QUERIES, DaySplit, Window
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag

IDS = st.lists(st.text("0123456789ABCXYZabc-_.", min_size=1, max_size=6), min_size=1, max_size=400)


class Pacs:
    """Matches a Patient ID by its end; gives so many answers and says nothing."""

    def __init__(self, ids: list[str], limit: int, *, cased: bool) -> None:
        self.cased = cased
        self.limit = limit
        self.asked = 0
        self.studies = [
            {
                tag("StudyInstanceUID"): entry("UI", f"1.{number}"),
                tag("PatientID"): entry("LO", one),
                tag("StudyTime"): entry("TM", "101500"),
            }
            for number, one in enumerate(ids)
        ]

    async def ask(self, window: Window) -> Found:
        self.asked += 1
        if window.times and not window.times[:4] <= "1015" <= window.times[7:11]:
            return Found([])
        return Found([s for s in self.studies if self.matches(s, window.patient)][: self.limit])

    def matches(self, study: Json, pattern: str) -> bool:
        one = text(study, "PatientID")
        if not self.cased:
            one, pattern = one.lower(), pattern.lower()
        if pattern.startswith("*"):
            return one.endswith(pattern[1:])
        return not pattern or one == pattern


def test_a_window_prints_no_patient() -> None:
    assert "P12" not in repr(Window("20240101", patient="P12"))


@given(ids=IDS, cased=st.booleans())
def test_all_are_found_or_it_is_said(ids: list[str], cased: bool) -> None:
    pacs = Pacs(ids, 50, cased=cased)
    said: list[bool] = []
    window = Window("20240601")

    async def all_of() -> list[object]:
        return list(await DaySplit(pacs.ask, lambda: said.append(True)).all(window))

    found = trio.run(all_of)
    assert said or len(found) == len(ids)
    assert pacs.asked <= QUERIES + 1
    counts = {one: ids.count(one) for one in ids}
    if max(counts.values()) < 50 and cased:
        assert said == []
