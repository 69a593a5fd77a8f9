from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError
from p2pacs.study.codecs import RAW
from p2pacs.study.excerpt import Excerpts, decode_excerpt
from p2pacs.study.images import Coding
from p2pacs.study.study_index import InstanceEntry
from tests.p2pacs.dataset.test_pixel_data import encapsulated
from tests.p2pacs.study.compressed.made import MadeJpeg
from tests.p2pacs.study.samples import Shelf, instance, noise, smooth
from tests.p2pacs.study.test_reader import loaded

MANY = [
    instance(1),
    smooth(2, side=64, NumberOfFrames="3", PixelData=noise(1, 3 * 64 * 64)),
    smooth(3),
    # JPEG as it is, and as zstd makes it smaller
    encapsulated([bytes([n]) + noise(n, 9000)[::2] for n in range(5)], "table"),
    encapsulated([bytes([n]) * 9000 for n in range(5)], "fragments without a table"),
    # JPEG Lossless, of which one part is made again for each frame
    evolve(
        encapsulated([MadeJpeg(rows=60, columns=60, seed=n).stream() for n in range(3)], "table"),
        transfer_syntax_uid="1.2.840.10008.1.2.4.70",
    ),
]


def excerpts(shelf: Shelf, one: EncodedInstance) -> tuple[Excerpts, InstanceEntry]:
    reader = loaded(shelf)
    entry = reader.index.instances[one.sop_instance_uid]
    return Excerpts(reader, entry), entry


@pytest.fixture(scope="module", params=list(Coding))
def shelf(request: pytest.FixtureRequest) -> Shelf:
    made = Shelf()
    named = [evolve(one, sop_instance_uid=f"1.{n}") for n, one in enumerate(MANY)]
    made.publish(named, chunk_bytes=2048, coding=request.param)
    return made


@given(st.data())
def test_any_bytes_come_from_their_chunks_alone(shelf: Shelf, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(MANY) - 1))
    one = evolve(MANY[number], sop_instance_uid=f"1.{number}")
    some, entry = excerpts(shelf, one)
    assert entry.size == some.size == len(one.data)
    for _ in range(3):
        first, end = sorted(data.draw(st.tuples(*[st.integers(0, some.size)] * 2)))
        held = {chunk: shelf.chunks[chunk] for chunk in some.chunks(first, end)}
        if some.is_heavy(first, end):
            found = decode_excerpt(some.gather(first, end, held.__getitem__))
        else:
            found = some.read(first, end, held.__getitem__)
        assert found == one.data[first:end]


@given(st.integers(0, len(MANY) - 1), st.integers(1, 30_000))
def test_slices_are_all_of_it_and_begin_no_blob_twice(shelf: Shelf, number: int, most: int) -> None:
    one = evolve(MANY[number], sop_instance_uid=f"1.{number}")
    some, entry = excerpts(shelf, one)
    reader, read = loaded(shelf), shelf.chunks.__getitem__
    refs = list(reader.index.refs(entry))
    starts = set(accumulate((ref.size for ref in refs), initial=0))
    found, at = b"", 0
    for first, end in some.slices(most):
        assert at == first < end
        coded = first in starts
        raw = all(part.blob.codec == RAW for part in some.gather(first, end, read))
        assert coded or raw
        assert end - first <= most or len(some.gather(first, end, read)) == 1
        found += decode_excerpt(some.gather(first, end, read))
        at = end
    assert found == one.data


def test_a_few_bytes_need_few_chunks(shelf: Shelf) -> None:
    one = evolve(MANY[3], sop_instance_uid="1.3")
    some, _ = excerpts(shelf, one)
    assert len(some.chunks(0, some.size)) > 5
    for at in range(some.header_bytes, some.size - 8, 999):
        assert len(some.chunks(at, at + 8)) <= 2


def test_the_header_ends_at_the_pixel_data(shelf: Shelf) -> None:
    for number, one in enumerate(MANY):
        some, _ = excerpts(shelf, evolve(one, sop_instance_uid=f"1.{number}"))
        assert 0 < some.header_bytes < some.size
        assert b"Gr\xc3\xbcn" in some.read(0, some.header_bytes, shelf.chunks.__getitem__)


def test_compressed_pixel_data_stay_open_while_they_are_read(shelf: Shelf) -> None:
    some, _ = excerpts(shelf, evolve(MANY[4], sop_instance_uid="1.4"))
    at = some.header_bytes
    assert some.chunks(at, at + 8)
    some.read(at, at + 8, shelf.chunks.__getitem__)
    assert not some.chunks(at, some.size)
    read: Callable[[int], bytes] = {}.__getitem__
    assert some.read(at, some.size, read) == MANY[4].data[at:]


def test_what_is_not_there_is_refused(shelf: Shelf) -> None:
    some, entry = excerpts(shelf, evolve(MANY[0], sop_instance_uid="1.0"))
    for first, end in pairwise((-1, 0, some.size + 1, 5)):
        with pytest.raises(CodingError):
            some.chunks(first, end)
    with pytest.raises(CodingError, match="add up"):
        Excerpts(loaded(shelf), evolve(entry, size=entry.size + 1))


def test_a_blob_that_is_another_is_not_given(shelf: Shelf) -> None:
    some, _ = excerpts(shelf, evolve(MANY[2], sop_instance_uid="1.2"))
    parts = some.gather(0, some.size, shelf.chunks.__getitem__)
    forged = evolve(parts[0], digest=bytes(16))
    with pytest.raises(CodingError, match="exact"):
        decode_excerpt((forged, *parts[1:]))
