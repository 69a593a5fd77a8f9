from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, func, select

from p2pacs.catalogue import numbers, schema
from p2pacs.sql.portable import advance


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        yield connection
    engine.dispose()


def _begun(connection: Connection) -> int:
    numbers.begin(connection)
    return numbers.read(connection, "seq")


def test_a_new_index_has_told_nothing(connection: Connection) -> None:
    first = _begun(connection)
    assert first > 1_700_000_000_000, "the time of day: above every number of an index before it"
    told = [seq for seq in (0, 1, first - 1, first, first + 1) if numbers.was_told(connection, seq)]
    assert told == [first]


def test_what_was_given_was_told_and_what_was_passed_over_was_not(connection: Connection) -> None:
    for name, value in {"floor": 1_000, "seq": 1_000, "former": 1}.items():
        connection.execute(schema.state.insert().values(name=name, value=value))
    last = advance(connection, schema.state, "seq", 3)
    again = _begun(connection)
    told = [seq for seq in range(990, 1_010) if numbers.was_told(connection, seq)]
    assert told == [1_000, 1_001, 1_002, last]
    assert numbers.was_told(connection, again)
    assert not numbers.was_told(connection, again - 1)


def test_numbers_go_on_where_the_clock_is_behind(connection: Connection) -> None:
    _begun(connection)
    ahead = 10**15
    numbers.write(connection, "seq", ahead)
    assert _begun(connection) == ahead + 1
    assert numbers.was_told(connection, ahead)


def test_who_follows_another_passes_nothing_over(connection: Connection) -> None:
    first = _begun(connection)
    numbers.write(connection, "position", 5)
    assert _begun(connection) == first


def test_few_gaps_are_remembered(connection: Connection) -> None:
    told = [_begun(connection) for _ in range(numbers.MOST + 3)]
    count = connection.execute(select(func.count()).select_from(schema.gaps)).scalar_one()
    assert count == numbers.MOST
    believed = [seq for seq in told if numbers.was_told(connection, seq)]
    assert believed == told[2:]


def test_an_index_of_version_0_1_makes_followers_start_anew_once(connection: Connection) -> None:
    for name in ("floor", "seq"):
        connection.execute(schema.state.insert().values(name=name, value=1_000))
    first = _begun(connection)
    assert not numbers.was_told(connection, 1_000)
    _begun(connection)
    assert numbers.was_told(connection, first)
