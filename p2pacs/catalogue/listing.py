"""The instances of a study as bounded bytes, for queries at image level of who does not hold it.

A part is a zstd frame around a msgpack array, ``[series uid, attributes, [instance, …]]``
(docs/wire.md, `Instances`); a series of many instances has several parts, and its attributes in the
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgpack
import zstandard
from attrs import evolve, field, frozen

from p2pacs.catalogue.feed import ENTRY_PLAIN_BYTES
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import checked, text
from p2pacs.dataset.uids import is_uid
from p2pacs.dataset.vocabulary import REQUIRED_TAGS
from p2pacs.errors import MalformedMessageError
from p2pacs.limits import FIND_RESULTS, FRAME_BYTES, KIB

_ROOM: Final = FRAME_BYTES - 8 * KIB
_OVERHEAD: Final = 5
"""Bytes that msgpack needs at most before a part."""

_PART: Final = 256
"""Instances in one part: about 300 KiB before, 10 KiB after compression."""


@frozen
class Listing:
    """The instances of a study, and what is known of them."""

    series: tuple[SeriesRecord, ...] = field(repr=False)
    keys: frozenset[str] | None = None
    """Attributes of instances that can be matched; None: all of the vocabulary."""

    @property
    def count(self) -> int:
        """How many instances."""
        return sum(len(series.instances) for series in self.series)

    def into(self, record: StudyRecord) -> StudyRecord:
        """The record with these instances; what the PACS said of a series is not said anew, and
        series that the record does not have are added."""
        known = {series.uid: series for series in record.series}
        for series in self.series:
            before = known.get(series.uid, SeriesRecord(series.uid, {})).attributes
            told = {key: held for key, held in before.items() if "Value" in held}
            known[series.uid] = evolve(series, attributes=before | series.attributes | told)
        return evolve(record, series=tuple(known.values()), instance_keys=self.keys)


def encode_listing(series: Iterable[SeriesRecord]) -> tuple[list[bytes], bool]:
    """As many instances as fit in one message; whether some were left out."""
    encoded: list[bytes] = []
    room, count = _ROOM, 0
    for part in _parts(series):
        raw = zstandard.compress(
            msgpack.packb([part.uid, part.attributes, list(part.instances)]), 3
        )
        room -= len(raw) + _OVERHEAD
        count += len(part.instances)
        if room < 0 or count > FIND_RESULTS:
            return encoded, True
        encoded.append(raw)
    return encoded, False


def _parts(series: Iterable[SeriesRecord]) -> Iterator[SeriesRecord]:
    for one in series:
        for at in range(0, max(1, len(one.instances)), _PART):
            attributes = one.attributes if at == 0 else {}
            yield SeriesRecord(one.uid, attributes, one.instances[at : at + _PART])


def decode_listing(parts: Iterable[bytes]) -> Listing:
    """The listing that `encode_listing` gave.

    What no instance tells is not known of any: a PACS answers with what it keeps.

    Raises:
        MalformedMessageError: not such bytes, or beyond a bound.
    """
    by_series: dict[str, SeriesRecord] = {}
    keys, count = set[str](REQUIRED_TAGS), 0
    for raw in parts:
        part = _decode(raw)
        count += len(part.instances)
        if count > FIND_RESULTS:
            raise MalformedMessageError(f"a list of more than {FIND_RESULTS} instances")
        keys.update(*part.instances)
        known = by_series.get(part.uid, SeriesRecord(part.uid, {}))
        by_series[part.uid] = SeriesRecord(
            part.uid, known.attributes | part.attributes, known.instances + part.instances
        )
    return Listing(tuple(by_series.values()), frozenset(keys))


def _decode(raw: bytes) -> SeriesRecord:
    try:
        return _series(*msgpack.unpackb(_decompress(raw), strict_map_key=True, max_ext_len=0))
    except (ValueError, TypeError, zstandard.ZstdError, msgpack.UnpackException) as error:
        raise MalformedMessageError("the broker's list of instances cannot be read") from error


def _decompress(raw: bytes) -> bytes:
    size = zstandard.frame_content_size(raw)
    if not 0 <= size <= ENTRY_PLAIN_BYTES:
        raise ValueError("unknown or too large")
    return zstandard.decompress(raw, max_output_size=ENTRY_PLAIN_BYTES)


def _series(uid: object, attributes: object, instances: object) -> SeriesRecord:
    if not isinstance(uid, str) or not is_uid(uid) or not isinstance(instances, list):
        raise TypeError("a part is a UID, attributes and instances")
    inside = tuple(checked(one) for one in instances)
    if not all(text(one, "SOPInstanceUID") for one in inside):
        raise ValueError("an instance without SOP Instance UID")
    return SeriesRecord(uid, checked(attributes), inside)
