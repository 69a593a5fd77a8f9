from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import ChunkId
from p2pacs.store.extents import Extent, Extents

EXTENTS = st.builds(
    Extent,
    offset=st.integers(0, 2**40),
    size=st.integers(1, 65536),
    id=st.binary(min_size=32, max_size=32).map(ChunkId),
)


@given(st.lists(st.tuples(st.integers(0, 300), st.none() | EXTENTS)))
def test_is_a_dictionary(changes: list[tuple[int, Extent | None]]) -> None:
    extents, expected = Extents(), dict[int, Extent]()
    for number, extent in changes:
        if extent is None:
            extents.discard(number)
            expected.pop(number, None)
        else:
            extents.set(number, extent)
            expected[number] = extent
    assert {n: found for n in range(301) if (found := extents.get(n))} == expected


def test_out_of_range() -> None:
    assert Extents().get(0) is None
    assert Extents().get(-1) is None
    Extents().discard(7)
