"""Coding of one instance: pure, heavy on the processor, safe in many threads at once.

Every coded blob is decoded again and compared before it leaves: what a codec cannot
give back bit for bit is kept as it is.
"""

from __future__ import annotations

import hashlib
from typing import Final

from attrs import field, frozen

from p2pacs.errors import BrokenInstanceError
from p2pacs.instance import EncodedInstance
from p2pacs.limits import UID_BYTES
from p2pacs.study import attributes as dicom_json
from p2pacs.study.codecs import RAW, ZSTD
from p2pacs.study.split import Kind, Piece, split

DIGEST_BYTES: Final = 16
"""SHA-256 of a decoded blob, cut to 128 bits: finds equal blobs. The whole instance has all 256."""


@frozen
class CodedBlob:
    """A piece of a data set, coded and verified."""

    kind: Kind
    codec: int
    coded: bytes = field(repr=False)
    size: int
    """Bytes when decoded."""
    digest: bytes
    """Of the decoded bytes: `DIGEST_BYTES` of SHA-256."""


@frozen
class CodedInstance:
    """An instance ready for the builder: its coded blobs in order, and its identity."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    sha256: bytes
    """Of the data set bytes."""
    size: int
    """Bytes of the data set."""
    blobs: tuple[CodedBlob, ...]
    attributes: bytes = field(repr=False)
    """DICOM JSON (study/attributes.py)."""


def code(instance: EncodedInstance) -> CodedInstance:
    """Split, code and verify an instance.

    Raises:
        BrokenInstanceError: no data set, or one without Study, Series or SOP Instance UID.
    """
    parts = split(instance.data, instance.transfer_syntax_uid)
    study = dicom_json.first_text(parts.attributes, dicom_json.STUDY_INSTANCE_UID)
    series = dicom_json.first_text(parts.attributes, dicom_json.SERIES_INSTANCE_UID)
    own = dicom_json.first_text(parts.attributes, dicom_json.SOP_INSTANCE_UID)
    if study is None or series is None or own is None:
        raise BrokenInstanceError(
            "an instance without Study, Series or SOP Instance UID: truncated or not DICOM; "
            "check it in the PACS"
        )
    identity = (study, series, instance.sop_class_uid, instance.sop_instance_uid)
    if any(len(text) > UID_BYTES for text in identity) or not instance.sop_instance_uid:
        raise BrokenInstanceError(
            "an instance whose UIDs are empty or too long; fix it in the PACS"
        )
    return CodedInstance(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        study_instance_uid=study,
        series_instance_uid=series,
        sha256=hashlib.sha256(instance.data).digest(),
        size=len(instance.data),
        blobs=tuple(code_piece(instance.data, piece) for piece in parts.pieces),
        attributes=dicom_json.dump(parts.attributes),
    )


def code_piece(data: bytes, piece: Piece) -> CodedBlob:
    """Code one piece of a data set with the codec that makes it smallest and is exact."""
    plain = data[piece.start : piece.end]
    codec, coded = RAW.number, plain
    if piece.kind is not Kind.ENCAPSULATED:
        smaller = ZSTD.encode(plain)
        if len(smaller) < len(plain) and ZSTD.decode(smaller, len(plain)) == plain:
            codec, coded = ZSTD.number, smaller
    digest = hashlib.sha256(plain).digest()[:DIGEST_BYTES]
    return CodedBlob(piece.kind, codec, coded, len(plain), digest)
