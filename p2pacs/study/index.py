"""The sealed part of the manifest: which instances a study has, and of which blobs.

The index travels in *parts*: each cut of the builder appends one with the instances and
blobs that are new. Later parts win, so an instance that changed has its newest entry.
docs/formats.md has a part byte by byte.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgpack
import zstandard
from attrs import define, field, frozen

from p2pacs.errors import CodingError, ManifestError
from p2pacs.limits import INDEX_PART_BYTES, INSTANCE_BLOBS, INSTANCE_BYTES, UID_BYTES
from p2pacs.study import attributes as dicom_json
from p2pacs.study.attributes import Json
from p2pacs.study.blobs import BlobRef, BlobTable, Columns, Run
from p2pacs.study.codecs import ZSTD

FORMAT: Final = 1

_PAIR: Final = struct.Struct(">II")
_RUN: Final = struct.Struct(">III")


@frozen
class InstanceEntry:
    """One instance, as the index has it."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    sha256: bytes
    """Of the data set bytes."""
    size: int
    """Bytes of the data set."""
    ranges: tuple[tuple[int, int], ...]
    """Its blobs in order: (first number, count)."""
    json: bytes = field(repr=False)
    """DICOM JSON of what a C-FIND needs, in UTF-8."""

    @property
    def blobs(self) -> Iterator[int]:
        """The numbers of its blobs, in order: decoded end to end they are the data set."""
        for first, count in self.ranges:
            yield from range(first, first + count)

    @property
    def attributes(self) -> Json:
        """DICOM JSON of what a C-FIND needs.

        Raises:
            ManifestError: not the DICOM JSON model.
        """
        try:
            return dicom_json.load(self.json)
        except ValueError as error:
            raise ManifestError("the attributes of an instance are not DICOM JSON") from error


@frozen
class IndexPart:
    """What one part adds: blobs from number ``first`` on, and instances new or changed."""

    first: int
    columns: Columns
    instances: tuple[InstanceEntry, ...]


@define
class StudyIndex:
    """All instances of a study by SOP Instance UID, and all its blobs."""

    blobs: BlobTable = field(factory=BlobTable)
    instances: dict[str, InstanceEntry] = field(factory=dict)

    def add(self, part: IndexPart) -> None:
        """Take in the next part.

        Raises:
            ManifestError: it is not the next one, or contradicts itself; nothing is added.
        """
        if part.first != len(self.blobs):
            raise ManifestError(f"an index part begins at blob {part.first}, not the next one")
        end = part.first + len(part.columns)
        for entry in part.instances:
            if any(first + count > end or not count for first, count in entry.ranges):
                raise ManifestError("the index names a blob that it does not have")
        self.blobs.extend(part.columns)
        for entry in part.instances:
            self.instances[entry.sop_instance_uid] = entry

    def refs(self, entry: InstanceEntry) -> Iterator[BlobRef]:
        """Where the blobs of an instance lie, in order."""
        return map(self.blobs.__getitem__, entry.blobs)

    def copy(self) -> StudyIndex:
        """A copy that grows apart."""
        return StudyIndex(self.blobs.copy(), dict(self.instances))


def encode_part(part: IndexPart) -> bytes:
    """The part as it is cut into chunks: one zstd frame."""
    columns = part.columns
    head = {
        "format": FORMAT,
        "first": part.first,
        "runs": _pack(_RUN, ((run.chunk, run.plain_bytes, run.blobs) for run in columns.runs)),
        "coded": columns.coded,
        "size": columns.size,
        "codec": columns.codec,
        "kind": columns.kind,
        "digest": columns.digest,
        "instances": len(part.instances),
    }
    packer = msgpack.Packer()
    entries = (
        packer.pack(
            [
                entry.sop_class_uid,
                entry.sop_instance_uid,
                entry.series_instance_uid,
                entry.transfer_syntax_uid,
                entry.sha256,
                entry.size,
                _pack(_PAIR, entry.ranges),
                entry.json,
            ]
        )
        for entry in part.instances
    )
    plain = b"".join([packer.pack(head), *entries])
    if len(plain) > INDEX_PART_BYTES:
        raise CodingError("too many instances in one index part: cut the study more often")
    return ZSTD.encode(plain)


def decode_part(coded: bytes) -> IndexPart:
    """The part in these bytes.

    Raises:
        ManifestError: too large, not of this format, or with fields missing or of wrong types.
    """
    stream = msgpack.Unpacker(
        max_buffer_size=INDEX_PART_BYTES,
        max_array_len=16,
        max_map_len=32,
        max_ext_len=0,
        strict_map_key=True,
    )
    stream.feed(_expand(coded))
    try:
        head = stream.unpack()
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise ManifestError("an index part of a format that this version does not know")
        count = _field(head, "instances", int)
        columns = Columns(
            runs=tuple(Run(*run) for run in _RUN.iter_unpack(_field(head, "runs", bytes))),
            coded=_field(head, "coded", bytes),
            size=_field(head, "size", bytes),
            codec=_field(head, "codec", bytes),
            kind=_field(head, "kind", bytes),
            digest=_field(head, "digest", bytes),
        )
        entries = tuple(_entry(stream.unpack()) for _ in range(count))
        return IndexPart(_field(head, "first", int), columns, entries)
    except (ValueError, TypeError, struct.error, msgpack.OutOfData) as error:
        raise ManifestError("an index part is damaged") from error


def _expand(coded: bytes) -> bytes:
    try:
        size = zstandard.get_frame_parameters(coded).content_size
        if size > INDEX_PART_BYTES:
            raise ManifestError(f"an index part has at most {INDEX_PART_BYTES} bytes")
        return ZSTD.decode(coded, size)
    except (zstandard.ZstdError, CodingError) as error:
        raise ManifestError("an index part is damaged") from error


def _field(head: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = head.get(name)
    if type(value) is not kind:
        raise ManifestError(f"an index part has no field {name!r} of the right type")
    return value


_TYPES: Final = [str, str, str, str, bytes, int, bytes, bytes]


def _entry(fields: object) -> InstanceEntry:
    if not isinstance(fields, list) or [type(value) for value in fields[:8]] != _TYPES:
        raise ManifestError("an index part has an instance with a field missing or of wrong type")
    sop_class, uid, series, syntax, digest, size, ranges, json = fields[:8]
    if any(len(text) > UID_BYTES for text in fields[:4]) or not uid:
        raise ManifestError("an index part has an instance with a UID of wrong length")
    if len(digest) != 32 or not 0 < size <= INSTANCE_BYTES:
        raise ManifestError("an index part has an instance of impossible size")
    pairs = tuple((first, count) for first, count in _PAIR.iter_unpack(ranges))
    if sum(count for _, count in pairs) > INSTANCE_BLOBS:
        raise ManifestError(f"an instance has at most {INSTANCE_BLOBS} blobs")
    return InstanceEntry(
        sop_class_uid=sys.intern(sop_class),
        sop_instance_uid=uid,
        series_instance_uid=sys.intern(series),
        transfer_syntax_uid=sys.intern(syntax),
        sha256=digest,
        size=size,
        ranges=pairs,
        json=json,
    )


def _pack(layout: struct.Struct, rows: Iterable[tuple[int, ...]]) -> bytes:
    return b"".join(layout.pack(*row) for row in rows)
