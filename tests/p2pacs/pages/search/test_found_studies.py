from p2pacs.pages.search.found_studies import latest_first
from tests.p2pacs.catalogue.samples import study


def test_of_one_day_the_latest_comes_first() -> None:
    times = {1: "0100", 2: "2300", 3: "1200"}
    records = [study(n, StudyTime=("TM", time)) for n, time in times.items()]
    other = study(4, date="20230101")
    assert [one.uid for one in latest_first([*records, other])] == [
        "1.2.2", "1.2.3", "1.2.1", "1.2.4",
    ]  # fmt: skip
