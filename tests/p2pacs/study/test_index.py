from contextlib import suppress
from typing import Any

import msgpack
import pytest
import zstandard
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import ManifestError
from p2pacs.limits import INDEX_PART_BYTES, INSTANCE_BLOBS
from p2pacs.study.blobs import Run
from p2pacs.study.codecs import encode_zstd
from p2pacs.study.index import IndexPart, InstanceEntry, StudyIndex
from p2pacs.study.parts import decode_part, encode_part
from tests.p2pacs.study.samples import CT, EXPLICIT
from tests.p2pacs.study.test_blobs import columns_of

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


def objects(part: IndexPart = PART) -> list[Any]:
    stream = msgpack.Unpacker()
    stream.feed(zstandard.decompress(encode_part(part)))
    return list(stream)


def encoded(parts: list[Any]) -> bytes:
    return encode_zstd(b"".join(msgpack.packb(each) for each in parts))


def test_round_trip() -> None:
    assert decode_part(encode_part(PART)) == PART
    nothing_new = IndexPart(7, columns_of([], 100), ())
    assert decode_part(encode_part(nothing_new)) == nothing_new


def test_the_objects_are_frozen() -> None:
    """docs/formats.md describes them."""
    head, entry = objects()
    assert head == {
        "format": 1,
        "first": 0,
        "runs": bytes.fromhex("00000000 00000064 00000002"),
        "coded": bytes.fromhex("0000000a 00000014"),
        "size": bytes.fromhex("00000014 00000028"),
        "levels": b"\0",
        "codec": b"\1\1",
        "kind": b"\1\1",
        "digest": PART.columns.digest,
        "base": b"",
        "instances": 1,
    }
    assert entry == [
        CT,
        "1.2.3",
        "1.2",
        EXPLICIT,
        bytes(32),
        60,
        bytes.fromhex("00000000 00000002"),
        ENTRY.json,
        b"",
    ]


def test_later_versions_may_add_fields() -> None:
    head, entry = objects()
    assert decode_part(encoded([head | {"later": b"x"}, [*entry, "more"], "more"])) == PART


def test_entry() -> None:
    assert list(evolve(ENTRY, ranges=((5, 2), (1, 1))).blobs) == [5, 6, 1]
    assert ENTRY.attributes["00080060"]["Value"] == ["CT"]
    with pytest.raises(ManifestError):
        _ = evolve(ENTRY, json=b"[]").attributes


def test_later_parts_win() -> None:
    index = StudyIndex()
    index.add(PART)
    changed = evolve(ENTRY, sha256=b"x" * 32, ranges=((1, 2),))
    index.add(IndexPart(2, columns_of([5], 100, 3), (changed,)))
    assert index.instances == {"1.2.3": changed}
    assert [ref.chunk for ref in index.refs(changed)] == [0, 3]


@pytest.mark.parametrize(
    "bad",
    [
        evolve(PART, first=1),
        evolve(PART, instances=(evolve(ENTRY, ranges=((0, 3),)),)),
        evolve(PART, instances=(evolve(ENTRY, ranges=((1, 0),)),)),
        evolve(PART, columns=evolve(PART.columns, runs=(Run(0, 100, 1),))),
    ],
)
def test_parts_that_contradict_add_nothing(bad: IndexPart) -> None:
    index = StudyIndex()
    with pytest.raises(ManifestError):
        index.add(bad)
    assert index.instances == {}
    index.add(PART)


def test_copies_grow_apart() -> None:
    index = StudyIndex()
    other = index.copy()
    other.add(PART)
    assert (len(index.blobs), len(index.instances)) == (0, 0)


@given(st.binary(max_size=200))
def test_junk_only_raises_manifest_error(junk: bytes) -> None:
    for raw in (junk, encode_zstd(junk)):
        with pytest.raises(ManifestError):
            decode_part(raw)


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()


@given(st.sampled_from(list(objects()[0])), VALUES)
def test_wrong_heads_only_raise_manifest_error(name: str, value: object) -> None:
    head, entry = objects()
    with suppress(ManifestError):
        StudyIndex().add(decode_part(encoded([head | {name: value}, entry])))


@given(st.integers(0, 7), VALUES)
def test_wrong_entries_only_raise_manifest_error(at: int, value: object) -> None:
    head, entry = objects()
    entry[at] = value
    with suppress(ManifestError):
        StudyIndex().add(decode_part(encoded([head, entry])))


@pytest.mark.parametrize(
    "bad",
    [
        evolve(ENTRY, sop_instance_uid=""),
        evolve(ENTRY, series_instance_uid="1" * 129),
        evolve(ENTRY, sha256=b""),
        evolve(ENTRY, size=0),
        evolve(ENTRY, ranges=((0, INSTANCE_BLOBS), (0, 1))),
    ],
)
def test_impossible_entries(bad: InstanceEntry) -> None:
    with pytest.raises(ManifestError):
        decode_part(encode_part(evolve(PART, instances=(bad,))))


def test_fewer_instances_than_announced() -> None:
    head, entry = objects()
    with pytest.raises(ManifestError, match="damaged"):
        decode_part(encoded([head | {"instances": 2}, entry]))
    with pytest.raises(ManifestError, match="damaged"):
        decode_part(encoded([head | {"instances": 2**40}, entry]))


def test_a_part_that_expands_without_end_is_refused() -> None:
    with pytest.raises(ManifestError, match="at most"):
        decode_part(encode_zstd(bytes(INDEX_PART_BYTES + 1)))


def test_missing_fields() -> None:
    head, entry = objects()
    for name in head.keys() - {"levels", "base"}:
        with pytest.raises(ManifestError):
            decode_part(encoded([{k: v for k, v in head.items() if k != name}, entry]))
    with pytest.raises(ManifestError):
        decode_part(encoded([head, entry[:-2]]))
