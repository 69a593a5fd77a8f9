"""Coding of one instance: pure, heavy on the processor.

Every coded blob is decoded again and compared before it leaves: what a codec cannot
give back bit for bit is kept as it is. Image codecs are C code that may crash on what a
PACS sends, so `code` belongs in a process of its own; `code_plain` is safe anywhere.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from attrs import field, frozen

from p2pacs.dataset.header import UNDEFINED_LENGTH, Header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, dump, text
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import BrokenInstanceError, CodingError
from p2pacs.limits import DICTIONARY_BYTES, UID_BYTES
from p2pacs.study.blobs import DIGEST_BYTES, key_of
from p2pacs.study.codecs import RAW, ZSTD, ZSTD_LEVEL, decode_zstd, encode_zstd
from p2pacs.study.compressed.description import CompressedShape, compressed_shape
from p2pacs.study.images import HTJ2K_NEXT, JXL, CodedFrame, Coding, Shape
from p2pacs.study.images.shape import shape_of
from p2pacs.study.split import Kind, Split, SplitPiece, split

COMPRESSIBLE: Final = frozenset(
    {
        "1.2.840.10008.1.2.5",  # RLE Lossless
        "1.2.840.10008.1.2.4.50",  # JPEG Baseline
        "1.2.840.10008.1.2.4.51",  # JPEG Extended
    }
)
"""Transfer syntaxes of encapsulated pixel data that zstd may make smaller (PS3.5 A.4)."""

FrameShape = Shape | CompressedShape
"""What the frames of a data set are: native or compressed."""

_mine = threading.local()
"""Coders of frames learn from what they coded, and are used by one thread each."""


@frozen
class CodedBlob:
    """A piece of a data set, or something beside it, coded and verified."""

    kind: Kind
    codec: int
    coded: bytes = field(repr=False)
    size: int
    """Bytes when decoded; 0 in a further part of a frame."""
    digest: bytes
    """`DIGEST_BYTES` of SHA-256 of the decoded bytes. Of the whole frame in its further parts and
    its preview: who has the frame finds them."""
    level: int = 0
    """What it completes: an image 2**level times smaller than the whole."""

    @property
    def key(self) -> bytes:
        """What finds an equal blob."""
        return key_of(self.digest, self.kind, self.codec, self.level)


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
    """Headers that others may be coded with, or that may be coded with others, are plain."""
    attributes: bytes = field(repr=False)
    """DICOM JSON (`p2pacs.dataset.elements.attributes_of`)."""
    previews: tuple[CodedBlob, ...] = ()
    """No part of the data set."""

    @property
    def coded_bytes(self) -> int:
        """Bytes of all blobs as they are."""
        return sum(len(blob.coded) for blob in (*self.blobs, *self.previews))


def code(instance: EncodedInstance, coding: Coding = Coding.SMALLEST) -> CodedInstance:
    """Split, code and verify an instance.

    Args:
        instance: as the PACS sent it.
        coding: how native frames are coded.

    Raises:
        BrokenInstanceError: no data set, or one without Study, Series or SOP Instance UID.
    """
    return _coded(instance, coding)


def code_plain(instance: EncodedInstance) -> CodedInstance:
    """The same without image codecs, for what made one crash.

    Raises:
        BrokenInstanceError: see `code`.
    """
    return _coded(instance, None)


def _coded(instance: EncodedInstance, coding: Coding | None) -> CodedInstance:
    parts = split(instance.data, instance.transfer_syntax_uid)
    study, series = checked_uids(instance, parts.attributes)
    blobs = tuple(code_pieces(instance, parts, coding))
    return CodedInstance(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        study_instance_uid=study,
        series_instance_uid=series,
        sha256=hashlib.sha256(instance.data).digest(),
        size=len(instance.data),
        blobs=tuple(blob for blob in blobs if blob.kind is not Kind.PREVIEW),
        attributes=dump(parts.attributes),
        previews=tuple(blob for blob in blobs if blob.kind is Kind.PREVIEW),
    )


def checked_uids(instance: EncodedInstance | LargeInstance, attributes: Json) -> tuple[str, str]:
    """Study and Series Instance UID of an instance that can be published.

    Raises:
        BrokenInstanceError: one without them, or without a SOP Instance UID.
    """
    study, series, own = (
        text(attributes, keyword)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    if not (study and series and own):
        raise BrokenInstanceError("an instance lacks Study, Series or SOP Instance UID: truncated?")
    identity = (study, series, instance.sop_class_uid, instance.sop_instance_uid)
    if any(len(uid) > UID_BYTES for uid in identity) or not instance.sop_instance_uid:
        raise BrokenInstanceError(
            "an instance whose UIDs are empty or too long; fix it in the PACS"
        )
    return study, series


def code_pieces(
    instance: EncodedInstance, parts: Split, coding: Coding | None
) -> Iterator[CodedBlob]:
    """The coded pieces of a data set in order, and previews among them.

    Args:
        instance: the data set.
        parts: where it is cut.
        coding: how native frames are coded; None: like everything else.
    """
    syntax = instance.transfer_syntax_uid
    return code_slice(
        instance.data,
        parts.pieces,
        coding,
        None if coding is None else frame_shape(parts.header, parts.pieces, syntax),
        compressible=syntax in COMPRESSIBLE,
    )


def frame_shape(
    header: Header | None, pieces: Iterable[SplitPiece], transfer_syntax_uid: str
) -> FrameShape | None:
    """What the frames of a data set are as images; None if none of them is one that fits."""
    first = next((piece for piece in pieces if piece.kind is Kind.FRAME), None)
    if header is None or first is None:
        return None
    if header.pixels_length == UNDEFINED_LENGTH:
        return compressed_shape(header, transfer_syntax_uid)
    return shape_of(header, first.end - first.start)


def code_slice(
    data: bytes,
    pieces: Iterable[SplitPiece],
    coding: Coding | None,
    shape: FrameShape | None,
    *,
    compressible: bool,
) -> Iterator[CodedBlob]:
    """The coded pieces of a stretch of a data set in order, and previews among them.

    Args:
        data: the stretch.
        pieces: where it is cut, from its beginning.
        coding: how native frames are coded; None: like everything else.
        shape: what they are as images, if they are.
        compressible: whether encapsulated pixel data may become smaller.
    """
    coder = None if coding is None or shape is None else _image_coder(coding, shape)
    is_compressed = isinstance(shape, CompressedShape)
    coded = {Kind.ENCAPSULATED, Kind.FRAME} if is_compressed else {Kind.ENCAPSULATED}
    left = frozenset() if compressible else frozenset(coded)
    for piece in pieces:
        plain = data[piece.start : piece.end]
        frame = coder(plain) if coder is not None and piece.kind is Kind.FRAME else None
        if frame is None or frame.codec is None:
            yield _code_piece(piece, plain, is_left=piece.kind in left)
        if frame is not None:
            yield from _image_blobs(plain, frame)


def _image_coder(coding: Coding, shape: FrameShape) -> Callable[[bytes], CodedFrame | None]:
    """What codes the frames of a data set."""
    from p2pacs.study.compressed.frames import CompressedCoder  # noqa: PLC0415 - loads numpy
    from p2pacs.study.images.frames import FrameCoder  # noqa: PLC0415 - loads numpy

    coders: dict[Coding, FrameCoder] = _mine.__dict__.setdefault("coders", {})
    coder = coders.setdefault(coding, FrameCoder(coding))
    if isinstance(shape, Shape):
        return partial(coder.encode, shape=shape)
    return partial(CompressedCoder(coding, coder).encode, shape=shape)


def _image_blobs(plain: bytes, frame: CodedFrame) -> Iterator[CodedBlob]:
    """A frame's parts, then its preview."""
    digest = digest_of(plain)
    codec, size = frame.codec, len(plain)
    for level, coded in frame.parts:
        if codec is not None:
            yield CodedBlob(Kind.FRAME, codec, coded, size, digest, level)
        codec, size = HTJ2K_NEXT, 0
    if frame.preview is not None:
        level, coded, size = frame.preview
        yield CodedBlob(Kind.PREVIEW, JXL, coded, size, digest, level)


def _code_piece(piece: SplitPiece, plain: bytes, *, is_left: bool) -> CodedBlob:
    codec, coded = RAW, plain
    is_left |= piece.kind is Kind.HEADER and len(plain) <= DICTIONARY_BYTES
    if not is_left and (smaller := smaller_zstd(plain)) is not None:
        codec, coded = ZSTD, smaller
    return CodedBlob(piece.kind, codec, coded, len(plain), digest_of(plain))


def digest_of(plain: bytes) -> bytes:
    """What finds a blob of these bytes again."""
    return hashlib.sha256(plain).digest()[:DIGEST_BYTES]


def smaller_zstd(plain: bytes, level: int = ZSTD_LEVEL) -> bytes | None:
    """These bytes as a zstd frame; None if it is not smaller, or does not come back exact."""
    coded = encode_zstd(plain, level)
    try:
        exact = len(coded) < len(plain) and decode_zstd(coded, len(plain)) == plain
    except CodingError:
        return None
    return coded if exact else None
