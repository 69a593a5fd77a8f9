from hypothesis import given
from hypothesis import strategies as st

from p2pacs.bitfield import Bitfield

numbers = st.sets(st.integers(0, 2000))


@given(numbers)
def test_is_a_set(values: set[int]) -> None:
    field = Bitfield(values)
    assert list(field) == sorted(values)
    assert len(field) == len(values)


@given(numbers)
def test_bytes_round_trip(values: set[int]) -> None:
    field = Bitfield(values)
    again = Bitfield.from_bytes(bytes(field))
    assert again == field
    assert len(again) == len(values)


@given(numbers, st.integers(0, 2100))
def test_add_and_discard(values: set[int], number: int) -> None:
    field = Bitfield(values)
    assert field.add(number) == (number not in values)
    assert number in field
    assert field.discard(number)
    assert not field.discard(number)
    assert list(field) == sorted(values - {number})


@given(numbers, st.integers(0, 2100), st.integers(0, 2100))
def test_count_range_counts_what_is_between(values: set[int], first: int, end: int) -> None:
    assert Bitfield(values).count_range(first, end) == len(values & set(range(first, end)))


@given(numbers, st.integers(0, 2100))
def test_missing_is_the_complement(values: set[int], total: int) -> None:
    assert set(Bitfield(values).missing(total)) == set(range(total)) - values


def test_most_significant_bit_first() -> None:
    assert bytes(Bitfield([0, 9])) == b"\x80\x40"


def test_a_copy_changes_apart() -> None:
    field = Bitfield([1])
    field.copy().add(2)
    assert list(field) == [1]


@given(numbers, st.lists(numbers, max_size=3))
def test_beyond_is_what_is_in_none_of_the_others(values: set[int], others: list[set[int]]) -> None:
    field = Bitfield(values)
    fields = [Bitfield(other) for other in others]
    beyond = field.beyond(*fields)
    assert set(beyond) == values.difference(*others)
    assert field.count_beyond(*fields) == len(beyond) == len(list(beyond))
    assert set(field) == values
    assert [set(one) for one in fields] == others


@given(numbers, numbers, st.sets(st.integers(0, 2000), max_size=5))
def test_beyond_a_set_that_shrank_or_came_as_bytes(
    values: set[int], other: set[int], gone: set[int]
) -> None:
    field, taken = Bitfield(values), Bitfield(other)
    for number in gone:
        field.discard(number)
        taken.discard(number)
    padded = Bitfield.from_bytes(bytes(taken) + bytes(300))
    assert set(field.beyond(padded)) == (values - gone) - (other - gone)


@given(numbers, st.sets(st.integers(0, 2000), max_size=5))
def test_the_highest_is_the_largest_number(values: set[int], gone: set[int]) -> None:
    field = Bitfield(values)
    for number in gone:
        field.discard(number)
    assert field.highest == max(values - gone, default=-1)
    assert Bitfield.from_bytes(bytes(field) + bytes(3)).highest == field.highest


@given(numbers, st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80)), max_size=4))
def test_ranges_are_added_as_their_numbers_are(
    values: set[int], ranges: list[tuple[int, int]]
) -> None:
    field, one_by_one = Bitfield(values), Bitfield(values)
    for first, count in ranges:
        field.add_range(first, first + count)
        for number in range(first, first + count):
            one_by_one.add(number)
    assert field == one_by_one
    assert len(field) == len(one_by_one) == len(list(field))
