"""Index parts as bytes: encoding, and decoding what a stranger may have made.

docs/formats.md has a part byte by byte.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from typing import Any, Final

import msgpack
import zstandard

from p2pacs.errors import CodingError, ManifestError
from p2pacs.limits import INDEX_PART_BYTES, INSTANCE_BLOBS, INSTANCE_BYTES, TEXT, UID_BYTES
from p2pacs.study.blobs import BlobRun, Columns
from p2pacs.study.codecs import decode_zstd, encode_zstd
from p2pacs.study.study_index import IndexPart, InstanceEntry, LeftOut, Stretches

FORMAT: Final = 1

ZSTD_LEVEL: Final = 9
"""A millisecond for a hundred instances; level 19 takes a hundred and saves nothing."""

_PAIR: Final = struct.Struct(">II")
_RUN: Final = struct.Struct(">III")


def encode_part(part: IndexPart) -> bytes:
    """The part as it is cut into chunks: one zstd frame."""
    columns = part.columns
    head = {
        "format": FORMAT,
        "first": part.first,
        "runs": _pack(_RUN, ((run.chunk, run.plain_bytes, run.blobs) for run in columns.runs)),
        "levels": bytes(run.level for run in columns.runs),
        "coded": columns.coded,
        "size": columns.size,
        "codec": columns.codec,
        "kind": columns.kind,
        "digest": columns.digest,
        "base": columns.base,
        "instances": len(part.instances),
    }
    if part.withdrawn:
        head["withdrawn"] = _pack_uids(part.withdrawn)
    if part.left_out is not None:
        head["left_out"] = _pack_uids(part.left_out.uids)
        head["unnamed"] = part.left_out.unnamed
        head["why"] = part.left_out.why
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
                _pack(_PAIR, entry.previews),
            ]
        )
        for entry in part.instances
    )
    plain = b"".join([packer.pack(head), *entries])
    if len(plain) > INDEX_PART_BYTES:
        raise CodingError("too many instances in one index part: cut the study more often")
    return encode_zstd(plain, ZSTD_LEVEL)


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
            runs=_runs(_field(head, "runs", bytes), head.get("levels")),
            coded=_field(head, "coded", bytes),
            size=_field(head, "size", bytes),
            codec=_field(head, "codec", bytes),
            kind=_field(head, "kind", bytes),
            digest=_field(head, "digest", bytes),
            base=_field({"base": b"", **head}, "base", bytes),
        )
        entries = tuple(_entry(stream.unpack()) for _ in range(count))
        return IndexPart(
            _field(head, "first", int),
            columns,
            entries,
            _uids({"withdrawn": b"", **head}, "withdrawn"),
            _left_out(head) if "left_out" in head else None,
        )
    except (ValueError, TypeError, struct.error, msgpack.OutOfData) as error:
        raise ManifestError("an index part is damaged") from error


def _pack_uids(uids: Iterable[str]) -> bytes:
    """UIDs in one field: a NUL, which no UID has, between them."""
    return "\0".join(uids).encode()


def _uids(head: dict[str, Any], name: str) -> tuple[str, ...]:
    raw = _field(head, name, bytes)
    uids = tuple(raw.decode().split("\0")) if raw else ()
    if any(not 0 < len(uid) <= UID_BYTES for uid in uids):
        raise ManifestError("an index part names an instance with a UID of wrong length")
    return uids


def _left_out(head: dict[str, Any]) -> LeftOut:
    left_out = LeftOut(
        _uids(head, "left_out"), _field(head, "unnamed", int), _field(head, "why", str)
    )
    if not 0 <= left_out.unnamed < 2**32 or len(left_out.why) > TEXT:
        raise ManifestError("an index part has a number or a text out of bounds")
    return left_out


def _runs(raw: bytes, levels: object) -> tuple[BlobRun, ...]:
    """The runs with their levels: all 0 if there is nothing about it."""
    runs = list(_RUN.iter_unpack(raw))
    known = bytes(len(runs)) if levels is None else levels
    if not isinstance(known, bytes) or len(known) != len(runs):
        raise ManifestError("an index part has not as many levels as runs")
    return tuple(
        BlobRun(chunk, plain_bytes, blobs, level)
        for (chunk, plain_bytes, blobs), level in zip(runs, known, strict=True)
    )


def _expand(coded: bytes) -> bytes:
    try:
        size = zstandard.get_frame_parameters(coded).content_size
        if size > INDEX_PART_BYTES:
            raise ManifestError(f"an index part has at most {INDEX_PART_BYTES} bytes")
        return decode_zstd(coded, size)
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
        raise ManifestError("an index part has an instance with a missing or wrong field")
    sop_class, uid, series, syntax, digest, size, ranges, json = fields[:8]
    previews = fields[8] if len(fields) > 8 else b""
    if type(previews) is not bytes:
        raise ManifestError("an index part has an instance with a missing or wrong field")
    if any(len(text) > UID_BYTES for text in fields[:4]) or not uid:
        raise ManifestError("an index part has an instance with a UID of wrong length")
    if len(digest) != 32 or not 0 < size <= INSTANCE_BYTES:
        raise ManifestError("an index part has an instance of impossible size")
    return InstanceEntry(
        sop_class_uid=sys.intern(sop_class),
        sop_instance_uid=uid,
        series_instance_uid=sys.intern(series),
        transfer_syntax_uid=sys.intern(syntax),
        sha256=digest,
        size=size,
        ranges=_stretches(ranges),
        json=json,
        previews=_stretches(previews),
    )


def _stretches(raw: bytes) -> Stretches:
    pairs = tuple((first, count) for first, count in _PAIR.iter_unpack(raw))
    if sum(count for _, count in pairs) > INSTANCE_BLOBS:
        raise ManifestError(f"an instance has at most {INSTANCE_BLOBS} blobs")
    return pairs


def _pack(layout: struct.Struct, rows: Iterable[tuple[int, ...]]) -> bytes:
    return b"".join(layout.pack(*row) for row in rows)
