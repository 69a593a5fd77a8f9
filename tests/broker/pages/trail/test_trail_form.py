from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.pages.trail.trail_form import FIELDS, read_trail_form
from broker.trail.search import TrailSearch
from p2pacs.ids import StudyId


def at(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def test_what_the_form_means() -> None:
    form = read_trail_form(
        {
            "since": "2024-01-31T10:05",
            "until": "2024-02-01",
            "member": " North ",
            "outcome": "refused",
            "study": "00" * 16,
        }
    )
    assert not form.wrong
    assert form.search == TrailSearch(
        since=at(2024, 1, 31, 10, 5),
        until=at(2024, 2, 2),
        member="North",
        outcome="refused",
        study=StudyId(bytes(16)),
    )


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"since": "yesterday"}, {"since"}),
        ({"since": "0001-01-01"}, {"since"}),
        ({"until": "9999-12-31"}, {"until"}),
        ({"since": "2024-01-02", "until": "2024-01-01"}, {"until"}),
        ({"outcome": "well"}, {"outcome"}),
        ({"study": "1.2.3", "uid": "1" * 4000}, {"study", "uid"}),
    ],
)
def test_everything_wrong_is_named(fields: dict[str, str], wrong: set[str]) -> None:
    assert set(read_trail_form(fields).wrong) == wrong


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40)))
def test_any_form_is_read(fields: dict[str, str]) -> None:
    form = read_trail_form(fields)
    assert set(form.wrong) <= set(FIELDS)
