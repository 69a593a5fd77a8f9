from pathlib import Path

from scripts.search_rate import QUERIES, measure, record


def test_every_query_is_measured_and_finds_what_it_names(tmp_path: Path) -> None:
    timed = measure(tmp_path, 100)
    assert timed.keys() == QUERIES.keys()
    assert timed["body part, no index"].answers == len([n for n in range(100) if n % 7 == 0])
    assert timed["description"].answers == len([n for n in range(100) if n == 17])
    assert timed["wild-card name"].answers > 0
    assert all(one.seconds > 0 for one in timed.values())
    assert record(7) == record(7)
