import msgpack
import pytest
import zstandard
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.catalogue.feed import (
    ENTRY_BYTES,
    ENTRY_PLAIN_BYTES,
    PAGE_BYTES,
    Tombstone,
    decode_entry,
    encode_entry,
    encode_page,
)
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.errors import MalformedMessageError
from p2pacs.ids import StudyId

from .samples import attributes, series, study

RECORD = evolve(
    study(1, series("1.2.1.1"), name="Yamada^Tarou=山田^太郎"), version=3, wrapped_key=b"k"
)


def bad(*fields: object) -> bytes:
    return zstandard.compress(msgpack.packb(list(fields)))


def test_a_record_travels_without_its_instances() -> None:
    entry = decode_entry(encode_entry(RECORD))
    assert entry == evolve(RECORD, series=(evolve(RECORD.series[0], instances=()),))


def test_a_tombstone_travels() -> None:
    assert decode_entry(encode_entry(Tombstone(RECORD.study))) == Tombstone(RECORD.study)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not zstd",
        zstandard.compress(b"\xc1"),
        zstandard.compress(bytes(ENTRY_PLAIN_BYTES + 1)),
        zstandard.ZstdCompressor(write_content_size=False).compress(b"\x90"),
        bytes(ENTRY_BYTES + 1),
        bad(),
        bad(b"short"),
        bad(bytes(16), "1", {}, [], 0),
        bad(bytes(16), "1" * 129, {}, [], 0, b""),
        bad(bytes(16), 1, {}, [], 0, b""),
        bad(bytes(16), "1", [], [], 0, b""),
        bad(bytes(16), "1", {"0010": {"vr": "LO"}}, [], 0, b""),
        bad(bytes(16), "1", {"0010002X": {"vr": "LO"}}, [], 0, b""),
        bad(bytes(16), "1", {"00100020": {"vr": "long"}}, [], 0, b""),
        bad(bytes(16), "1", {"00100020": {"vr": "LO", "Value": "x"}}, [], 0, b""),
        bad(bytes(16), "1", {"00100020": {"vr": "LO", "Value": [[]]}}, [], 0, b""),
        bad(bytes(16), "1", {"00100010": {"vr": "PN", "Value": ["x"]}}, [], 0, b""),
        bad(bytes(16), "1", {"00100020": {"vr": "LO", "BulkDataURI": "x"}}, [], 0, b""),
        bad(bytes(16), "1", {"00400275": {"vr": "SQ", "Value": ["x"]}}, [], 0, b""),
        bad(bytes(16), "1", {}, [["1"]], 0, b""),
        bad(bytes(16), "1", {}, [], -1, b""),
        bad(bytes(16), "1", {}, [], 0, "text"),
        bad(bytes(16), "1", {}, [], 0, bytes(5000)),
    ],
)
def test_what_is_no_entry_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode_entry(raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    for mangled in (raw, zstandard.compress(raw)):
        with pytest.raises(MalformedMessageError):
            decode_entry(mangled)


def test_too_many_series_are_left_out() -> None:
    parts = tuple(
        SeriesRecord(
            f"1.2.{n}", attributes(SeriesDescription=("LO", StudyId.derive(b"", str(n)).short * 6))
        )
        for n in range(9000)
    )
    entry = decode_entry(encode_entry(study(1, *parts)))
    assert not isinstance(entry, Tombstone)
    assert entry.series == ()


def test_a_page_fits_in_a_message() -> None:
    long = [evolve(RECORD, wrapped_key=bytes(n % 256 for n in range(4000)))] * 300
    assert 1 <= len(encode_page(long)) <= 200
    assert sum(map(len, encode_page(long))) <= PAGE_BYTES
    assert len(encode_page([Tombstone(RECORD.study)] * 300)) == 200
