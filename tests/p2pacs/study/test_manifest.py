from contextlib import suppress

import msgpack
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import (
    BadSignatureError,
    ChunkMismatchError,
    ManifestError,
    StaleVersionError,
)
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import INDEX_PARTS, ROOT_BYTES, SEGMENT_CHUNKS, STUDY_CHUNKS
from p2pacs.study.manifest import (
    BEGINNING,
    PURPOSE,
    ChunkList,
    IndexSpan,
    Root,
    Segment,
    check_successor,
    load_root,
    load_segment,
    segment_count,
    segment_of,
    segment_start,
    sign_root,
)
from tests.p2pacs.study.samples import SIGNER, STUDY

SIZE = 1000


def list_of(count: int) -> ChunkList:
    chunks = ChunkList()
    for number in range(count):
        chunks.append(ChunkId(number.to_bytes(32, "big")), SIZE)
    return chunks


def root_of(chunks: ChunkList, version: int = 1, *, parts: int = 1, complete: bool = True) -> Root:
    return Root(
        study=STUDY,
        version=version,
        complete=complete,
        chunk_bytes=SIZE,
        chunks=len(chunks),
        total_bytes=chunks.total_bytes,
        segments=tuple(ChunkId.of(raw) for raw in chunks.segments()),
        parts=tuple(IndexSpan(number, 1) for number in range(parts)),
    )


LIST = list_of(3000)
ROOT = root_of(LIST)


def load(raw: bytes, study: StudyId = STUDY) -> Root:
    return load_root(raw, SIGNER.public, study)


def signed(fields: object) -> bytes:
    payload = msgpack.packb(fields)
    return SIGNER.sign(payload, PURPOSE) + payload


def test_round_trip() -> None:
    assert load(sign_root(ROOT, SIGNER)) == ROOT
    assert [ROOT.segment_chunks(number) for number in range(5)] == [48, 208, 768, 1024, 952]
    assert list(IndexSpan(5, 2).numbers) == [5, 6]


def test_the_bytes_are_frozen() -> None:
    """docs/formats.md describes them."""
    small = root_of(list_of(1))
    segment = ChunkId.of(bytes(32) + SIZE.to_bytes(4, "big"))
    fields = [2, bytes(STUDY), 1, True, 1000, 1, 1000, bytes(segment), bytes(7) + b"\x01"]
    assert sign_root(small, SIGNER) == signed(fields)


def test_the_largest_root_fits() -> None:
    chunks = ChunkList()
    segments = tuple(ChunkId.of(str(n).encode()) for n in range(segment_count(STUDY_CHUNKS)))
    parts = tuple(IndexSpan(number, 1) for number in range(INDEX_PARTS))
    total = STUDY_CHUNKS * SIZE
    root = evolve(
        root_of(chunks, parts=0),
        chunks=STUDY_CHUNKS,
        total_bytes=total,
        segments=segments,
        parts=parts,
    )
    raw = sign_root(root, SIGNER)
    assert len(raw) < ROOT_BYTES
    assert load(raw) == root


def test_another_key() -> None:
    with pytest.raises(BadSignatureError):
        load(sign_root(ROOT, SigningKey.generate()))


def test_a_signature_for_something_else() -> None:
    raw = sign_root(ROOT, SIGNER)
    with pytest.raises(BadSignatureError):
        load(SIGNER.sign(raw[64:], b"p2pacs directory") + raw[64:])


@given(st.integers(0, STUDY_CHUNKS))
def test_every_chunk_is_in_one_segment_and_the_first_are_short(number: int) -> None:
    segment = segment_of(number)
    assert segment_start(segment) <= number < segment_start(segment + 1)
    assert segment_start(segment + 1) - segment_start(segment) <= SEGMENT_CHUNKS
    assert segment_count(number + 1) == segment + 1
    assert segment_count(0) == 0
    assert (segment == 0) == (number < BEGINNING)


def test_another_study() -> None:
    with pytest.raises(ManifestError, match="came for"):
        load(sign_root(ROOT, SIGNER), StudyId(bytes(16)))


def test_too_long() -> None:
    with pytest.raises(ManifestError, match="at most"):
        load(sign_root(ROOT, SIGNER) + bytes(ROOT_BYTES))


@given(st.binary(max_size=200))
def test_junk_only_raises_manifest_error(junk: bytes) -> None:
    with pytest.raises(ManifestError):
        load(junk)


@given(st.data())
def test_every_change_is_found(data: st.DataObject) -> None:
    raw = bytearray(sign_root(ROOT, SIGNER))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadSignatureError):
        load(bytes(raw))


FIELDS = msgpack.unpackb(sign_root(ROOT, SIGNER)[64:])


@given(
    st.integers(0, len(FIELDS) - 1),
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=100),
)
def test_signed_nonsense_only_raises_manifest_error(at: int, value: object) -> None:
    fields = list(FIELDS)
    fields[at] = value
    with suppress(ManifestError):
        assert isinstance(load(signed(fields)), Root)


@given(st.recursive(st.none() | st.integers(0, 9) | st.binary(max_size=9), st.lists))
def test_signed_junk_only_raises_manifest_error(junk: object) -> None:
    with pytest.raises(ManifestError):
        load(signed(junk))


def test_an_array_that_claims_to_be_endless_is_refused() -> None:
    payload = b"\xdd\x00\x03\xff\xff" * 1000
    with pytest.raises(ManifestError):
        load(SIGNER.sign(payload, PURPOSE) + payload)


@pytest.mark.parametrize(
    "bad",
    [
        evolve(ROOT, version=0),
        evolve(ROOT, chunk_bytes=65_537),
        evolve(ROOT, chunk_bytes=16),
        evolve(ROOT, chunks=STUDY_CHUNKS + 1),
        evolve(ROOT, total_bytes=3000 * SIZE + 1),
        evolve(ROOT, total_bytes=1),
        evolve(ROOT, segments=ROOT.segments[:-1]),
        evolve(ROOT, parts=(IndexSpan(2999, 2),)),
        evolve(ROOT, parts=(IndexSpan(5, 2), IndexSpan(6, 1))),
        evolve(ROOT, parts=(IndexSpan(5, 0),)),
    ],
)
def test_a_root_that_contradicts_itself(bad: Root) -> None:
    with pytest.raises(ManifestError):
        load(sign_root(bad, SIGNER))


def test_successors() -> None:
    for more in (3000, 3001, 5000):
        check_successor(ROOT, root_of(list_of(more), 2))
    check_successor(ROOT, ROOT)
    check_successor(ROOT, evolve(ROOT, version=9, complete=False))
    longer = root_of(list_of(3010), 2)
    check_successor(ROOT, evolve(longer, parts=(*ROOT.parts, IndexSpan(3005, 5))))


OTHER = ChunkId.of(b"other")
NEXT = root_of(list_of(3010), 2)


@pytest.mark.parametrize(
    "bad",
    [
        evolve(ROOT, complete=False),
        evolve(NEXT, version=1),
        root_of(list_of(2999), 2),
        evolve(NEXT, segments=(OTHER, *NEXT.segments[1:])),
        evolve(ROOT, version=2, segments=(*ROOT.segments[:-1], OTHER)),
        evolve(NEXT, parts=()),
        evolve(NEXT, parts=(IndexSpan(0, 1), IndexSpan(1, 1))),
        evolve(NEXT, chunk_bytes=2 * SIZE),
        evolve(NEXT, study=StudyId(bytes(16))),
    ],
)
def test_versions_that_contradict(bad: Root) -> None:
    with pytest.raises(StaleVersionError):
        check_successor(ROOT, bad)


def test_segments_verify() -> None:
    for number, raw in enumerate(LIST.segments()):
        assert load_segment(raw, ROOT, number) == Segment(number, raw)
    raw = LIST.segment(0)
    with pytest.raises(ChunkMismatchError):
        load_segment(raw[:-1] + b"?", ROOT, 0)
    with pytest.raises(ChunkMismatchError):
        load_segment(raw, ROOT, 1)
    with pytest.raises(ManifestError):
        load_segment(raw, ROOT, 5)


@pytest.mark.parametrize("raw", [b"", bytes(35), bytes(36), bytes(72), b"\xff" * 36])
def test_a_signed_segment_may_still_be_wrong(raw: bytes) -> None:
    root = evolve(root_of(list_of(1)), segments=(ChunkId.of(raw),))
    with pytest.raises(ManifestError):
        load_segment(raw, root, 0)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=5).map(sorted))
def test_lists_grow_version_by_version(counts: list[int]) -> None:
    chunks = ChunkList()
    for version, count in enumerate(counts, 1):
        whole = list_of(count)
        root = root_of(whole, version, parts=0)
        for number in chunks.missing(root):
            chunks.extend(load_segment(whole.segment(number), root, number))
        assert list(chunks.segments()) == list(whole.segments())
        assert chunks.total_bytes == root.total_bytes
        assert chunks.missing(root) == []


def test_lists_only_grow() -> None:
    chunks = list_of(1500)
    with pytest.raises(ManifestError, match="not the next"):
        chunks.extend(Segment(4, LIST.segment(4)))
    with pytest.raises(ManifestError, match="not the next"):
        chunks.extend(Segment(0, LIST.segment(0)))
    changed = bytearray(LIST.segment(3))
    changed[0] ^= 1
    with pytest.raises(StaleVersionError):
        chunks.extend(Segment(3, bytes(changed)))
    assert list(chunks.segments()) == list(list_of(1500).segments())
    chunks.extend(Segment(3, LIST.segment(3)))
    assert len(chunks) == 2048


def test_list_by_number() -> None:
    assert LIST[2999] == (ChunkId((2999).to_bytes(32, "big")), SIZE)
    assert LIST.id(5) == LIST[5][0]
    assert LIST.size(5) == SIZE
    for number in (-1, 3000):
        with pytest.raises(IndexError):
            LIST[number]


def test_copies_grow_apart() -> None:
    other = LIST.copy()
    other.append(OTHER, 5)
    assert (len(LIST), len(other)) == (3000, 3001)
    assert other.total_bytes == LIST.total_bytes + 5
