from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    ManifestError,
    StaleVersionError,
    UsageError,
)
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId
from p2pacs.study.builder import StudyBuilder
from p2pacs.study.coding import code, code_plain
from p2pacs.study.images import Coding
from p2pacs.study.images.picture import picture
from p2pacs.study.manifest import ChunkList
from p2pacs.study.parts import decode_part
from p2pacs.study.reader import StudyReader
from p2pacs.study.seal import open_chunk, seal
from p2pacs.study.study_index import IndexPart
from tests.p2pacs.study.samples import KEY, STUDY, STUDY_UID, Shelf, instance, smooth
from tests.p2pacs.study.test_blobs import Row, columns_of, rows

INSTANCES = [instance(number) for number in range(1, 13)]


@pytest.fixture
def shelf() -> Shelf:
    made = Shelf()
    made.publish(INSTANCES, chunk_bytes=4096)
    return made


def loaded(shelf: Shelf) -> StudyReader:
    reader = shelf.reader()
    reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    return reader


def test_everything_comes_back(shelf: Shelf) -> None:
    assert list(shelf.all()) == INSTANCES


def test_the_index_first_then_any_instance_from_its_chunks_alone(shelf: Shelf) -> None:
    reader = shelf.reader()
    numbers = reader.index_numbers
    assert numbers == list(shelf.root.parts[0].numbers) if shelf.root else None
    held = {number: shelf.chunks[number] for number in numbers}
    entries = reader.advance(held, held.__getitem__)
    assert reader.whole
    assert reader.index_numbers == []
    assert [entry.sop_instance_uid for entry in entries] == [
        each.sop_instance_uid for each in INSTANCES
    ]
    needed = reader.chunks_of(entries[5])
    assert len(needed) < len(shelf.chunks) / 4
    some = {number: shelf.chunks[number] for number in needed}
    assert reader.join(entries[5], some.__getitem__) == INSTANCES[5]
    assert entries[5].attributes["00200013"]["Value"] == ["6"]


def test_advance_waits_for_the_whole_part(shelf: Shelf) -> None:
    reader = shelf.reader()
    assert reader.advance({}, shelf.chunks.__getitem__) == []
    assert not reader.whole


def test_follows_a_growing_study() -> None:
    shelf = Shelf()
    shelf.publish(INSTANCES[:4], complete=False)
    reader = loaded(shelf)
    shelf.publish(INSTANCES[4:])
    assert shelf.root is not None
    reader.follow(shelf.root, shelf.list)
    assert not reader.whole
    added = reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    assert len(added) == len(INSTANCES) - 4
    joined = [
        reader.join(each, shelf.chunks.__getitem__) for each in reader.index.instances.values()
    ]
    assert joined == INSTANCES


def test_never_goes_back() -> None:
    shelf = Shelf()
    shelf.publish(INSTANCES[:4], complete=False)
    old, old_list = shelf.root, shelf.list.copy()
    shelf.publish(INSTANCES[4:])
    reader = loaded(shelf)
    assert old is not None
    with pytest.raises(StaleVersionError):
        reader.follow(old, old_list)


def test_a_list_that_is_not_the_roots(shelf: Shelf) -> None:
    assert shelf.root is not None
    with pytest.raises(ManifestError, match="shorter"):
        StudyReader(KEY, shelf.root, ChunkList())
    other = ChunkList()
    for number in range(len(shelf.list)):
        other.append(ChunkId.of(b"?"), shelf.list.size(number))
    with pytest.raises(ManifestError, match="not the one"):
        StudyReader(KEY, shelf.root, other)


def test_a_longer_list_will_do(shelf: Shelf) -> None:
    shelf.list.append(ChunkId.of(b"later"), 100)
    assert list(shelf.all()) == INSTANCES


def test_all_parts_are_loaded_once(shelf: Shelf) -> None:
    reader = loaded(shelf)
    with pytest.raises(UsageError):
        reader.load_part(shelf.chunks.__getitem__)


def test_a_rotten_chunk_is_named(shelf: Shelf) -> None:
    reader = loaded(shelf)
    entry = next(iter(reader.index.instances.values()))
    rotten = dict(shelf.chunks)
    rotten[1] = rotten[1][:-1] + bytes([rotten[1][-1] ^ 1])
    with pytest.raises(CorruptStoreError, match="chunk 1 "):
        reader.join(entry, rotten.__getitem__)
    assert reader.join(entry, shelf.chunks.__getitem__) == INSTANCES[0]


def test_another_key(shelf: Shelf) -> None:
    assert shelf.root is not None
    reader = StudyReader(StudyKey.generate(), shelf.root, shelf.list)
    with pytest.raises(CodingError, match="does not open"):
        reader.advance(shelf.chunks, shelf.chunks.__getitem__)


def test_what_is_not_exact_is_never_given_out(shelf: Shelf) -> None:
    reader = loaded(shelf)
    entry = next(iter(reader.index.instances.values()))
    with pytest.raises(CodingError, match="exact"):
        reader.join(evolve(entry, sha256=bytes(32)), shelf.chunks.__getitem__)
    with pytest.raises(CodingError, match="add up"):
        reader.join(evolve(entry, size=entry.size + 1), shelf.chunks.__getitem__)


def test_an_index_that_points_beyond_the_study(shelf: Shelf) -> None:
    reader = loaded(shelf)
    entry = list(reader.index.instances.values())[-1]
    for columns in (
        columns_of([10], 4080, len(shelf.list)),
        columns_of([5000], 4080, len(shelf.list) - 1),
    ):
        number = len(reader.index.blobs)
        reader.index.blobs.extend(columns)
        bad = evolve(entry, ranges=((number, 1),), size=10_000)
        for read in (reader.chunks_of, reader.levels):
            with pytest.raises(ManifestError):
                read(bad)


def test_an_index_that_points_beyond_the_end_of_a_chunk(shelf: Shelf) -> None:
    reader = loaded(shelf)
    entry = list(reader.index.instances.values())[-1]
    number = len(reader.index.blobs)
    reader.index.blobs.extend(columns_of([5000, 50, 10], 5060))
    bad = evolve(entry, ranges=((number + 1, 1),), size=100)
    with pytest.raises(ManifestError, match="beyond the end"):
        reader.gather(bad, shelf.chunks.__getitem__)


SMOOTH = [smooth(number) for number in range(1, 5)]


def shelf_of(coding: Coding) -> Shelf:
    made = Shelf()
    made.publish(SMOOTH[:2], chunk_bytes=1024, coding=coding)
    made.publish(SMOOTH[2:], coding=coding)
    return made


@pytest.mark.parametrize(
    ("coding", "expected"), [(Coding.SMALLEST, [2, 0]), (Coding.PROGRESSIVE, [2, 1, 0])]
)
def test_each_level_has_chunks_of_its_own(coding: Coding, expected: list[int]) -> None:
    reader = loaded(shelf_of(coding))
    levels_of_chunks: dict[int, int] = {}
    for entry in reader.index.instances.values():
        levels = reader.levels(entry)
        assert [level for level, _ in levels] == expected
        for level, numbers in levels:
            assert numbers == tuple(sorted(set(numbers)))
            for number in numbers:
                assert levels_of_chunks.setdefault(number, level) == level
        everything = {number for _, numbers in levels for number in numbers}
        assert set(reader.chunks_of(entry)) <= everything
        beside = () if coding is Coding.PROGRESSIVE else levels[0][1]
        assert everything.difference(reader.chunks_of(entry)) == set(beside)


def test_images_too_small_for_a_preview_have_one_level(shelf: Shelf) -> None:
    reader = loaded(shelf)
    for entry in reader.index.instances.values():
        assert reader.levels(entry) == ((0, tuple(reader.chunks_of(entry))),)


@pytest.mark.parametrize("coding", Coding)
def test_a_frame_is_shown_with_the_chunks_of_its_level(coding: Coding) -> None:
    shelf = shelf_of(coding)
    reader = loaded(shelf)
    for entry in reader.index.instances.values():
        assert entry.frames == 1
        held: dict[int, bytes] = {}
        for level, numbers in reader.levels(entry):
            held.update((number, shelf.chunks[number]) for number in numbers)
            shown = reader.preview(entry, 0, level, held.__getitem__)
            assert shown is not None
            assert picture(*shown).rows == 256 >> level
        assert reader.preview(entry, 1, 0, held.__getitem__) is None
        assert reader.preview(entry, 0, 9, held.__getitem__) is None


def test_what_is_between_two_levels_is_shown_by_the_coarser() -> None:
    shelf = shelf_of(Coding.SMALLEST)
    reader = loaded(shelf)
    (entry, *_) = reader.index.instances.values()
    coarse, whole = (reader.preview(entry, 0, level, shelf.chunks.__getitem__) for level in (1, 0))
    assert coarse == reader.preview(entry, 0, 2, shelf.chunks.__getitem__)
    assert whole != coarse


def test_the_chunks_of_an_instance_include_its_dictionary() -> None:
    shelf = Shelf()
    many = [instance(number) for number in range(1, 30)]
    shelf.publish(many, chunk_bytes=1024)
    reader = loaded(shelf)
    entries = list(reader.index.instances.values())
    first = reader.index.blobs[next(entries[0].blobs)].chunk
    for entry, sent in zip(entries, many, strict=True):
        numbers = reader.chunks_of(entry)
        assert first in numbers
        held = {number: shelf.chunks[number] for number in numbers}
        assert shelf_reader(shelf).join(entry, held.__getitem__) == sent


def shelf_reader(shelf: Shelf) -> StudyReader:
    """One that has no chunk open but those of the index."""
    reader = loaded(shelf)
    reader._opened.clear()
    return reader


def test_neighbours_open_a_chunk_once() -> None:
    shelf = Shelf()
    shelf.publish(instance(number, rows=8, columns=8, PixelData=bytes(128)) for number in range(9))
    reader, asked = loaded(shelf), Counter[int]()

    def read(number: int) -> bytes:
        asked[number] += 1
        return shelf.chunks[number]

    for entry in reader.index.instances.values():
        reader.join(entry, read)
    assert set(asked.values()) == {1}


def test_many_threads_at_once() -> None:
    shelf = Shelf()
    many = [smooth(number, 80) for number in range(30)]
    shelf.publish(many, chunk_bytes=1024)
    reader = loaded(shelf)
    entries = list(reader.index.instances.values())
    with ThreadPoolExecutor(8) as pool:
        joined = pool.map(lambda entry: reader.join(entry, shelf.chunks.__getitem__), entries)
        assert list(joined) == many


def test_more_coded_than_decoded_is_refused_before_it_is_read(shelf: Shelf) -> None:
    reader = loaded(shelf)
    entry = list(reader.index.instances.values())[-1]
    number = len(reader.index.blobs)
    reader.index.blobs.extend(rows(Row(coded=2000, size=1000)))
    with pytest.raises(CodingError, match="larger coded"):
        reader.gather(evolve(entry, ranges=((number, 1),), size=1000), {}.__getitem__)


COLUMNS = ("coded", "size", "codec", "kind", "digest", "base")
PLAIN, PARTED = Shelf(), Shelf()
PLAIN.publish(INSTANCES[:4], chunk_bytes=1024, coder=code_plain)
PARTED.publish(SMOOTH[:2], chunk_bytes=1024, coding=Coding.PROGRESSIVE)
PARTED.publish(SMOOTH[2:], coding=Coding.SMALLEST)


def with_lies(shelf: Shelf, data: st.DataObject) -> StudyReader:
    """A reader of an index in which bytes of some columns and stretches are others."""
    reader, true = shelf.reader(), loaded(shelf).index
    assert shelf.root is not None
    for part in shelf.root.parts:
        raw = b"".join(open_chunk(KEY, shelf.chunks[number]) for number in part.numbers)
        lying = decode_part(raw)
        for name in data.draw(st.lists(st.sampled_from(COLUMNS), max_size=2)):
            column = bytearray(getattr(lying.columns, name))
            if column:
                at = data.draw(st.integers(0, len(column) - 1))
                column[at] = data.draw(st.integers(0, 255))
                lying = evolve(lying, columns=evolve(lying.columns, **{name: bytes(column)}))
        reader.index.add(lying)
    for entry in true.instances.values():
        stretch = st.tuples(st.integers(0, len(true.blobs)), st.integers(0, 3))
        if data.draw(st.booleans()):
            lie = evolve(
                entry,
                ranges=tuple(data.draw(st.lists(stretch, max_size=4))),
                previews=tuple(data.draw(st.lists(stretch, max_size=2))),
            )
            with suppress(ManifestError):
                reader.index.add(IndexPart(len(reader.index.blobs), rows(), (lie,)))
    return reader


@given(st.data())
def test_an_index_that_lies_never_gives_another_instance(data: st.DataObject) -> None:
    with suppress(ManifestError):
        reader = with_lies(PLAIN, data)
        for entry, sent in zip(reader.index.instances.values(), INSTANCES, strict=False):
            with suppress(ManifestError, CodingError):
                assert reader.join(entry, PLAIN.chunks.__getitem__) == sent


@given(st.data())
def test_an_index_that_lies_of_images_is_refused_or_gathered(data: st.DataObject) -> None:
    with suppress(ManifestError):
        reader = with_lies(PARTED, data)
        for entry in reader.index.instances.values():
            for level in range(3):
                with suppress(ManifestError):
                    reader.preview(entry, 0, level, PARTED.chunks.__getitem__)
            with suppress(ManifestError, CodingError):
                numbers = {number for _, some in reader.levels(entry) for number in some}
                assert numbers.issuperset(reader.chunks_of(entry))
                gathered = reader.gather(entry, PARTED.chunks.__getitem__)
                assert sum(len(blob.coded) for blob in gathered.blobs) <= entry.size


def test_an_index_part_that_contradicts_adds_nothing(shelf: Shelf) -> None:
    reader = shelf.reader()
    reader.index.blobs.extend(rows(Row()))
    with pytest.raises(ManifestError, match="next one"):
        reader.load_part(shelf.chunks.__getitem__)
    assert not reader.whole
    assert reader.index.instances == {}


def test_an_index_part_of_junk() -> None:
    builder = StudyBuilder(STUDY, KEY, STUDY_UID)
    builder.append(code(instance(1)))
    builder.cut()
    root = builder.root(complete=True)
    junk = seal(KEY, b"junk")
    chunks = ChunkList()
    for number in range(root.chunks):
        data = junk if number in root.parts[0].numbers else b"?" * 20
        chunks.append(ChunkId.of(data), len(data))
    forged = evolve(root, segments=(ChunkId.of(chunks.segment(0)),))
    with pytest.raises(ManifestError, match="damaged"):
        StudyReader(KEY, forged, chunks).load_part(lambda _: junk)


def test_an_index_part_of_too_many_chunks() -> None:
    chunks = ChunkList()
    for _ in range(2048):
        chunks.append(ChunkId.of(b""), 65536)
    builder = StudyBuilder(STUDY, KEY, STUDY_UID)
    builder.append(code(instance(1)))
    builder.cut()
    root = builder.root(complete=True)
    forged = evolve(
        root,
        chunks=2048,
        segments=tuple(map(ChunkId.of, chunks.segments())),
        parts=(evolve(root.parts[0], chunk=0, count=2048),),
    )
    with pytest.raises(ManifestError, match="too many"):
        StudyReader(KEY, forged, chunks).load_part(lambda _: b"")


def test_a_builder_goes_on_from_what_a_reader_read(shelf: Shelf) -> None:
    """The broker restarts: store → reader → builder."""
    reader = shelf.reader()
    with pytest.raises(UsageError):
        reader.published()
    reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    shelf.previous = reader.published()
    assert shelf.publish(INSTANCES).chunks == ()
    batch = shelf.publish([instance(50)])
    assert batch.chunks[0].number == len(shelf.chunks) - len(batch.chunks)
    assert list(shelf.all()) == [*INSTANCES, instance(50)]
