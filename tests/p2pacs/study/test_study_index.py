import pytest
from attrs import evolve

from p2pacs.errors import ManifestError
from p2pacs.study.blobs import BlobRun
from p2pacs.study.codecs import ZSTD_WITH
from p2pacs.study.coding import digest_of
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL
from p2pacs.study.split import Kind
from p2pacs.study.study_index import IndexPart, InstanceEntry, LeftOut, StudyIndex
from tests.p2pacs.study.samples import CT, EXPLICIT
from tests.p2pacs.study.test_blobs import Row, columns_of, rows

ENTRY = InstanceEntry(
    sop_class_uid=CT,
    sop_instance_uid="1.2.3",
    series_instance_uid="1.2",
    transfer_syntax_uid=EXPLICIT,
    sha256=bytes(32),
    size=60,
    ranges=((0, 2),),
    json=b'{"00080060":{"vr":"CS","Value":["CT"]}}',
)
PART = IndexPart(0, columns_of([10, 20], 100), (ENTRY,))

PREVIEW = Row(Kind.PREVIEW, JXL, level=2)
FRAME = Row(Kind.FRAME, JXL, size=60)
FIRST = Row(Kind.FRAME, HTJ2K, size=60, level=1)
NEXT = Row(Kind.FRAME, HTJ2K_NEXT, size=0)
HEADER = Row(Kind.HEADER)
OTHER_HEADER = Row(Kind.HEADER, ZSTD_WITH, base=2)
SHOWN = IndexPart(
    0,
    rows(PREVIEW, FIRST, HEADER, OTHER_HEADER, NEXT),
    (evolve(ENTRY, size=80, ranges=((3, 1), (1, 1), (4, 1)), previews=((0, 1),)),),
)
"""A frame in two parts, which has a preview as well, behind a header with a dictionary."""


def index_of(*parts: IndexPart) -> StudyIndex:
    index = StudyIndex()
    for part in parts:
        index.add(part)
    return index


def test_entry() -> None:
    assert list(evolve(ENTRY, ranges=((5, 2), (1, 1))).blobs) == [5, 6, 1]
    assert ENTRY.attributes["00080060"]["Value"] == ["CT"]
    with pytest.raises(ManifestError):
        _ = evolve(ENTRY, json=b"[]").attributes
    assert ENTRY.some("Modality") == {"00080060": ENTRY.attributes["00080060"]}
    with pytest.raises(ManifestError, match="DICOM JSON"):
        evolve(ENTRY, json=b"[]").some("Modality")


def test_what_is_withdrawn_is_gone_until_it_is_named_again() -> None:
    index = index_of(PART, IndexPart(2, columns_of([], 100), (), ("1.2.3", "1.9")))
    assert index.instances == {}
    assert index.withdrawn == {"1.2.3"}
    copy = index.copy()
    index.add(IndexPart(2, columns_of([], 100), (ENTRY,)))
    assert (set(index.instances), index.withdrawn) == ({"1.2.3"}, set())
    assert (copy.instances, copy.withdrawn) == ({}, {"1.2.3"})


def test_a_part_may_withdraw_an_instance_and_bring_it() -> None:
    changed = evolve(ENTRY, sha256=b"x" * 32)
    index = index_of(PART, IndexPart(2, columns_of([], 100), (changed,), ("1.2.3",)))
    assert index.instances == {"1.2.3": changed}
    assert index.withdrawn == set()


def test_what_is_left_out_holds_until_a_part_says_otherwise() -> None:
    left_out = LeftOut(("1.2.9",), 2, "why")
    assert left_out.count == 3
    index = index_of(PART)
    assert index.left_out.count == 0
    index.add(IndexPart(2, columns_of([], 100), (), left_out=left_out))
    index.add(IndexPart(2, columns_of([], 100), ()))
    assert index.left_out == left_out
    assert index.copy().left_out == left_out
    index.add(IndexPart(2, columns_of([], 100), (), left_out=LeftOut()))
    assert index.left_out == LeftOut()


def test_later_parts_win() -> None:
    changed = evolve(ENTRY, sha256=b"x" * 32, ranges=((1, 2),))
    index = index_of(PART, IndexPart(2, columns_of([5], 100, 3), (changed,)))
    assert index.instances == {"1.2.3": changed}
    assert [ref.chunk for ref in index.refs(changed)] == [0, 3]


def entry(*ranges: tuple[int, int], previews: tuple[tuple[int, int], ...] = ()) -> InstanceEntry:
    return evolve(ENTRY, ranges=ranges, previews=previews)


def part(entry_: InstanceEntry, *all_rows: Row) -> IndexPart:
    return IndexPart(0, rows(*all_rows), (entry_,))


OTHER = digest_of(b"other")


@pytest.mark.parametrize(
    "bad",
    [
        evolve(PART, first=1),
        evolve(PART, instances=(evolve(ENTRY, ranges=((0, 3),)),)),
        evolve(PART, instances=(evolve(ENTRY, ranges=((1, 0),)),)),
        evolve(PART, instances=(evolve(ENTRY, previews=((1, 2),)),)),
        evolve(PART, instances=(evolve(ENTRY, previews=((1, 0),)),)),
        evolve(PART, columns=evolve(PART.columns, runs=(BlobRun(0, 100, 1),))),
        # a preview as part of the data set, part of the data set as a preview, more than frames
        part(entry((0, 2)), FRAME, PREVIEW),
        part(entry((0, 1), previews=((1, 1),)), FRAME, HEADER),
        part(entry((0, 1), previews=((1, 2),)), FRAME, PREVIEW, PREVIEW),
        part(entry((0, 1), previews=((1, 1), (1, 1))), FRAME, PREVIEW),
        part(entry((0, 1), previews=((1, 1),)), HEADER, PREVIEW),
        part(entry((0, 2), previews=((2, 2),)), FIRST, NEXT, PREVIEW, PREVIEW),
        # further parts of nothing, of no HTJ2K, of another frame, in the wrong order
        part(entry((0, 1)), NEXT),
        part(entry((0, 2)), HEADER, NEXT),
        part(entry((0, 2)), FRAME, NEXT),
        part(entry((0, 2)), evolve(FIRST, digest=OTHER), NEXT),
        part(entry((0, 2)), evolve(FIRST, level=0), NEXT),
        part(entry((0, 1), (2, 1), (1, 1)), evolve(FIRST, level=2), evolve(NEXT, level=1), NEXT),
        part(entry((0, 2), (1, 1)), FIRST, NEXT),
    ],
)
def test_parts_that_contradict_add_nothing(bad: IndexPart) -> None:
    index = StudyIndex()
    with pytest.raises(ManifestError):
        index.add(bad)
    assert index.instances == {}
    index.add(PART)
    with pytest.raises(ManifestError):
        index.add(bad)
    assert len(index.blobs) == 2
    assert list(index.instances) == ["1.2.3"]
    index.add(IndexPart(2, columns_of([7], 100, 1), ()))
    assert index.blobs[2].chunk == 1


def frames(*all_rows: Row, previews: tuple[tuple[int, int], ...] = ()) -> int:
    """What an index finds in an instance of all these but the previews."""
    data = sum(row.kind is not Kind.PREVIEW for row in all_rows)
    (added,) = StudyIndex().add(part(entry((0, data), previews=previews), *all_rows))
    return added.frames


def test_how_many_frames_an_instance_has_to_show() -> None:
    plain = Row(Kind.FRAME)
    assert frames(HEADER) == 0
    assert frames(HEADER, plain, plain) == 0
    assert frames(HEADER, FRAME) == 1
    assert frames(HEADER, FRAME, plain, FRAME) == 3
    assert frames(HEADER, FIRST, NEXT, FRAME) == 2
    assert frames(HEADER, plain, PREVIEW, previews=((2, 1),)) == 1


def test_what_shows_a_frame() -> None:
    index = index_of(SHOWN)
    shown = index.instances["1.2.3"]
    assert index.shown(shown, 0, 0) == [1, 4]
    assert index.shown(shown, 0, 1) == [1]
    assert index.shown(shown, 0, 2) == [0]
    assert index.shown(shown, 0, 3) == []
    assert index.shown(shown, 1, 0) == []
    assert index.shown(shown, -1, 0) == []


def test_what_shows_each_of_many_frames() -> None:
    """The third has no preview, the fourth is equal to the first, the fifth is no image."""
    all_rows = [
        HEADER,
        *(evolve(FRAME, digest=digest_of(name)) for name in (b"a", b"b", b"c", b"a")),
    ]
    all_rows.append(Row(Kind.FRAME, digest=digest_of(b"d")))
    all_rows += [evolve(PREVIEW, digest=digest_of(name)) for name in (b"a", b"b")]
    index = index_of(part(entry((0, 6), previews=((6, 2),)), *all_rows))
    shown = index.instances["1.2.3"]
    assert shown.frames == 5
    assert [index.shown(shown, number, 2) for number in range(6)] == [[6], [7], [], [6], [], []]
    assert [index.shown(shown, number, 0) for number in range(6)] == [[1], [2], [3], [4], [], []]


def test_what_shows_frames_in_parts_in_many_stretches() -> None:
    all_rows = [
        *(evolve(FIRST, digest=digest_of(name)) for name in (b"a", b"b", b"c")),
        HEADER,
        *(evolve(NEXT, digest=digest_of(name)) for name in (b"a", b"b", b"c")),
    ]
    stretches = ((3, 1), (0, 1), (4, 1), (1, 1), (5, 1), (2, 1), (6, 1))
    index = index_of(part(entry(*stretches), *all_rows))
    shown = index.instances["1.2.3"]
    assert [index.shown(shown, n, 0) for n in range(4)] == [[0, 4], [1, 5], [2, 6], []]
    assert [index.shown(shown, n, 1) for n in range(4)] == [[0], [1], [2], []]


def test_copies_grow_apart() -> None:
    index = StudyIndex()
    other = index.copy()
    other.add(PART)
    assert (len(index.blobs), len(index.instances)) == (0, 0)
