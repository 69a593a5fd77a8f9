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
from p2pacs.study.blobs import LEVELS
from p2pacs.study.codecs import encode_zstd
from p2pacs.study.parts import decode_part, encode_part
from p2pacs.study.study_index import IndexPart, InstanceEntry, LeftOut, StudyIndex
from tests.p2pacs.study.test_blobs import columns_of
from tests.p2pacs.study.test_study_index import ENTRY, PART, SHOWN


def objects(part: IndexPart = PART) -> list[Any]:
    stream = msgpack.Unpacker()
    stream.feed(zstandard.decompress(encode_part(part)))
    return list(stream)


def encoded(parts: list[Any]) -> bytes:
    return encode_zstd(b"".join(msgpack.packb(each) for each in parts))


LEFT = IndexPart(
    2, columns_of([], 100), (), ("1.2.3", "1.2.4"), LeftOut(("1.2.9", "1.2.8"), 3, "3: broken")
)


@pytest.mark.parametrize(
    "part",
    [
        PART,
        SHOWN,
        IndexPart(7, columns_of([], 100), ()),
        LEFT,
        evolve(LEFT, withdrawn=(), left_out=LeftOut()),
    ],
)
def test_round_trip(part: IndexPart) -> None:
    assert decode_part(encode_part(part)) == part


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
        ENTRY.sop_class_uid,
        "1.2.3",
        "1.2",
        ENTRY.transfer_syntax_uid,
        bytes(32),
        60,
        bytes.fromhex("00000000 00000002"),
        ENTRY.json,
        b"",
    ]


def test_later_versions_may_add_fields() -> None:
    head, entry = objects()
    assert decode_part(encoded([head | {"later": b"x"}, [*entry, "more"], "more"])) == PART


def test_the_objects_of_an_image_are_frozen() -> None:
    """A header with a dictionary, a preview, and a frame in two parts."""
    head, entry = objects(SHOWN)
    assert head | {"digest": b""} == {
        "format": 1,
        "first": 0,
        "runs": bytes.fromhex(
            "00000000 00000064 00000001  00000001 00000064 00000001  00000002 00000064 00000003"
        ),
        "levels": b"\2\1\0",
        "coded": bytes.fromhex("0000000a 0000000a 0000000a 0000000a 0000000a"),
        "size": bytes.fromhex("00000014 0000003c 00000014 00000014 00000000"),
        "codec": b"\3\4\1\2\5",
        "kind": b"\4\1\0\0\1",
        "digest": b"",
        "base": bytes.fromhex("00000002"),
        "instances": 1,
    }
    assert entry[6] == bytes.fromhex("00000003 00000001  00000001 00000001  00000004 00000001")
    assert entry[8] == bytes.fromhex("00000000 00000001")


def test_the_objects_of_what_is_missing_are_frozen() -> None:
    (head,) = objects(LEFT)
    names = ("withdrawn", "left_out", "unnamed", "why")
    assert {name: head[name] for name in names} == {
        "withdrawn": b"1.2.3\x001.2.4",
        "left_out": b"1.2.9\x001.2.8",
        "unnamed": 3,
        "why": "3: broken",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"withdrawn": b"1.2\0"},
        {"withdrawn": b"1" * 129},
        {"withdrawn": "1.2"},
        {"left_out": b"\0"},
        {"left_out": b"\xff"},
        {"left_out": None},
        {"unnamed": -1},
        {"unnamed": 2**32},
        {"unnamed": True},
        {"unnamed": None},
        {"why": b"x"},
        {"why": "x" * 1025},
    ],
)
def test_what_is_missing_stays_within_its_bounds(wrong: dict[str, object]) -> None:
    (head,) = objects(LEFT)
    with pytest.raises(ManifestError):
        decode_part(encoded([head | wrong]))


def test_levels_and_dictionaries_may_be_absent() -> None:
    head, entry = objects()
    del head["levels"], head["base"]
    assert decode_part(encoded([head, entry[:8]])) == PART


@given(st.binary(max_size=200))
def test_junk_only_raises_manifest_error(junk: bytes) -> None:
    for raw in (junk, encode_zstd(junk)):
        with pytest.raises(ManifestError):
            decode_part(raw)


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()


@given(st.sampled_from(list(objects()[0])), VALUES)
def test_wrong_heads_only_raise_manifest_error(name: str, value: object) -> None:
    head, entry = objects(SHOWN)
    with suppress(ManifestError):
        StudyIndex().add(decode_part(encoded([head | {name: value}, entry])))


@given(st.integers(0, 8), VALUES)
def test_wrong_entries_only_raise_manifest_error(at: int, value: object) -> None:
    head, entry = objects(SHOWN)
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
        evolve(ENTRY, previews=((0, INSTANCE_BLOBS), (0, 1))),
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


COLUMNS = ("runs", "levels", "coded", "size", "codec", "kind", "digest", "base")


@given(st.data())
def test_columns_of_anything_only_raise_manifest_error(data: st.DataObject) -> None:
    """Flipped bits where the bounds are checked that keep a reader from harm."""
    head, entry = objects(SHOWN)
    for name in data.draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3)):
        column = bytearray(head[name])
        at = data.draw(st.integers(0, len(column) - 1))
        column[at] = data.draw(st.integers(0, 255))
        head[name] = bytes(column)
    index = StudyIndex()
    try:
        index.add(decode_part(encoded([head, entry])))
    except ManifestError:
        assert (len(index.blobs), index.instances) == (0, {})
        index.add(SHOWN)


@pytest.mark.parametrize("levels", [b"", b"\0\0", bytes([LEVELS]), 0, "\0"])
def test_levels_that_cannot_be(levels: object) -> None:
    head, entry = objects()
    with pytest.raises(ManifestError):
        StudyIndex().add(decode_part(encoded([head | {"levels": levels}, entry])))
