import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from broker.trail import audit
from broker.trail.audit import Entry
from broker.trail.search import TrailPlace, TrailSearch, read_trail
from p2pacs.errors import NotFoundError, UsageError
from p2pacs.ids import StudyId, VirtualAddress

NORTH, SOUTH = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))
ONE, TWO = (StudyId(bytes(15) + bytes([n])) for n in (1, 2))

ENTRIES = [
    Entry("study granted", "North", NORTH, ONE, "1.2.1", time=50),
    Entry("study read", "North", NORTH, ONE, "1.2.1", "C-MOVE by WS1", time=10, person="WS1"),
    Entry("study granted", "South", SOUTH, ONE, "1.2.1", outcome=audit.REFUSED, time=30),
    Entry("member revoked", "anna", about=NORTH, detail="North", time=30),
    Entry("sign-in", "WS1", time=40, outcome=audit.REFUSED),
    Entry("study read", "South", SOUTH, TWO, "1.2.2", time=20, outcome=audit.FAILED),
]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (TrailSearch(), [0, 4, 3, 2, 5, 1]),
        (TrailSearch(member="North"), [0, 1]),
        (TrailSearch(member=str(NORTH), what="study read"), [1]),
        (TrailSearch(person="WS1"), [4, 1]),
        (TrailSearch(person="WS1", outcome="done"), [1]),
        (TrailSearch(person="WS1", member="South"), []),
        (TrailSearch(outcome="refused"), [4, 2]),
        (TrailSearch(outcome="refused", member="South"), [2]),
        (TrailSearch(outcome="done", what="study granted"), [0]),
        (TrailSearch(uid="1.2.1", outcome="refused"), [2]),
        (TrailSearch(study=TWO), [5]),
        (TrailSearch(study=ONE, since=20, until=50), [2]),
        (TrailSearch(since=30), [0, 4, 3, 2]),
        (TrailSearch(until=30), [5, 1]),
    ],
)
def test_what_a_search_finds_latest_first(
    connection: Connection, search: TrailSearch, found: list[int]
) -> None:
    audit.record(connection, *ENTRIES)
    page = read_trail(connection, search)
    assert page.entries == [ENTRIES[place] for place in found]
    assert page.next is None
    pages, after = [], None
    while True:  # one by one it finds the same
        one = read_trail(connection, search, after, most=1)
        pages += one.entries
        if (after := one.next) is None:
            break
    assert pages == page.entries


def test_nobody_of_this_name(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="nobody called 'West'"):
        read_trail(connection, TrailSearch(member="West"))


@pytest.mark.parametrize(
    "search",
    [
        TrailSearch(),
        TrailSearch(member="North"),
        TrailSearch(person="WS1"),
        TrailSearch(outcome="refused", what="study read"),
        TrailSearch(what="sign-in"),
        TrailSearch(study=ONE),
    ],
)
def test_no_search_sorts_the_trail(connection: Connection, search: TrailSearch) -> None:
    """Each is answered out of an index, in its order: a million entries cost no more."""
    audit.record(connection, *ENTRIES)
    said: list[str] = []
    run = connection.connection.driver_connection.execute  # type: ignore[union-attr]
    connection.connection.driver_connection.set_trace_callback(said.append)  # type: ignore[union-attr]
    read_trail(connection, search, TrailPlace(99, 99))
    connection.connection.driver_connection.set_trace_callback(None)  # type: ignore[union-attr]
    reads = [one for one in said if "ORDER BY audit.time DESC" in one]
    assert reads
    for statement in reads:
        plan = " ".join(str(row[3]) for row in run(f"EXPLAIN QUERY PLAN {statement}"))
        assert "USING INDEX ix_audit" in plan
        assert ("TEMP B-TREE" in plan) == (search.study is not None)  # of one study there are few


@given(st.integers(0, 10**17), st.integers(0, 10**17))
def test_places_are_read_as_they_are_written(time: int, number: int) -> None:
    place = TrailPlace(time, number)
    assert TrailPlace.parse(str(place)) == place


@given(st.text())
def test_a_place_that_is_none_is_refused(text: str) -> None:
    try:
        TrailPlace.parse(text)
    except UsageError:
        return
    assert all(part.isdigit() for part in text.split("-"))
