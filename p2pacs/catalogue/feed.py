"""Entries of the catalogue's change feed: records and tombstones as bounded bytes.

An entry is a zstd frame around a msgpack array (docs/wire.md, `CataloguePage`):
``[study, uid, attributes, [[uid, attributes], …], version, wrapped key]`` for a
record, ``[study]`` for a tombstone. Instances are not in the feed: a member asks
for them (`InstancesQuery`), or reads them in the study's own index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgpack
import zstandard
from attrs import evolve, frozen

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import Json, checked
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import MalformedMessageError, UsageError
from p2pacs.ids import StudyId
from p2pacs.limits import CATALOGUE_PAGE, KIB, MIB

ENTRY_BYTES: Final = 64 * KIB
"""One entry, compressed: more than 1,000 series of ordinary attributes."""

ENTRY_PLAIN_BYTES: Final = 4 * MIB
"""One entry, decompressed: bounded before memory is taken."""

PAGE_BYTES: Final = 256 * KIB
"""Entries of one page together: a page fits in one message."""

_KEY_BYTES: Final = 4 * KIB
_RECORD_FIELDS: Final = 6


@frozen
class Tombstone:
    """The study is gone from the PACS and from the catalogue."""

    study: StudyId


FeedEntry = StudyRecord | Tombstone


def encode_entry(entry: FeedEntry) -> bytes:
    """An entry as bytes; a record of too many series comes without them."""
    if isinstance(entry, Tombstone):
        return _pack([bytes(entry.study)])
    raw = _pack(
        [
            bytes(entry.study),
            entry.uid,
            entry.attributes,
            [[series.uid, series.attributes] for series in entry.series],
            entry.version,
            entry.wrapped_key,
        ]
    )
    if len(raw) > ENTRY_BYTES and entry.series:
        return encode_entry(evolve(entry, series=()))
    return raw


def encode_page(entries: Iterable[FeedEntry]) -> list[bytes]:
    """As many entries, in order, as one page may carry (at least one)."""
    page: list[bytes] = []
    room = PAGE_BYTES
    for entry in entries:
        raw = encode_entry(entry)
        room -= len(raw)
        if page and (room < 0 or len(page) >= CATALOGUE_PAGE):
            break
        page.append(raw)
    return page


def _pack(fields: list[Any]) -> bytes:
    return zstandard.compress(msgpack.packb(fields), 3)


def decode_entry(raw: bytes, *, own: bool = False) -> FeedEntry:
    """The entry that `encode_entry` gave.

    Args:
        raw: its bytes.
        own: this host wrote them itself, after they were checked: half the time of a search is
            for checking every attribute again.

    Raises:
        MalformedMessageError: not such bytes, or beyond a bound.
    """
    if len(raw) > ENTRY_BYTES:
        raise MalformedMessageError(f"a catalogue entry of more than {ENTRY_BYTES} bytes")
    try:
        fields = msgpack.unpackb(_decompress(raw), strict_map_key=True, max_ext_len=0)
        if isinstance(fields, list) and len(fields) == 1:
            return Tombstone(StudyId(fields[0]))
        return _record(fields, _believed if own else checked)
    except (ValueError, TypeError, UsageError, zstandard.ZstdError, msgpack.UnpackException) as e:
        raise MalformedMessageError("not a catalogue entry: update p2pacs on this host") from e


def _decompress(raw: bytes) -> bytes:
    size = zstandard.frame_content_size(raw)
    if not 0 <= size <= ENTRY_PLAIN_BYTES:
        raise ValueError("unknown or too large")
    return zstandard.decompress(raw, max_output_size=ENTRY_PLAIN_BYTES)


def _believed(attributes: Json) -> Json:
    return attributes


def _record(fields: Any, check: Callable[[Any], Json]) -> StudyRecord:
    if not isinstance(fields, list) or len(fields) != _RECORD_FIELDS:
        raise TypeError("a record has six fields")
    study, uid, attributes, series, version, wrapped_key = fields
    if not isinstance(version, int) or version < 0:
        raise TypeError("a version is not negative")
    if not isinstance(wrapped_key, bytes) or len(wrapped_key) > _KEY_BYTES:
        raise TypeError("a wrapped key is bytes")
    return StudyRecord(
        StudyId(study),
        _uid(uid),
        check(attributes),
        tuple(SeriesRecord(_uid(uid), check(of_series)) for uid, of_series in series),
        version,
        wrapped_key,
    )


def _uid(value: Any) -> str:
    if not isinstance(value, str) or not is_uid(value):
        raise TypeError("not a UID")
    return value
