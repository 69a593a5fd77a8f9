"""A large instance is coded slice by slice: a stretch of its data set at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve, field, frozen

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import read_large_header
from p2pacs.dataset.json_model import dump
from p2pacs.dataset.large import LargeInstance
from p2pacs.limits import MIB
from p2pacs.study.coding import (
    COMPRESSIBLE,
    CodedBlob,
    CodedInstance,
    FrameShape,
    checked_uids,
    code_slice,
    frame_shape,
)
from p2pacs.study.images import Coding
from p2pacs.study.split import Kind, SplitPiece, pieces_of

SLICE_BYTES: Final = 2 * MIB
"""Of a data set are coded in one go, or one piece of it where that is larger: a publication has
8 MiB in hand at once, and more than one processor."""


@frozen
class Slice:
    """A stretch of a data set, and where it is cut."""

    start: int
    end: int
    pieces: tuple[SplitPiece, ...]
    """From its beginning."""


@frozen
class SlicePlan:
    """How a large instance is coded."""

    study_instance_uid: str
    series_instance_uid: str
    attributes: bytes = field(repr=False)
    slices: tuple[Slice, ...]
    shape: FrameShape | None
    """What its frames are as images, if they are."""
    compressible: bool

    def coded(self, instance: LargeInstance, blobs: tuple[CodedBlob, ...]) -> CodedInstance:
        """The instance, whose blobs were laid before (`p2pacs.study.builder.StudyBuilder.lay`)."""
        return CodedInstance(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            study_instance_uid=self.study_instance_uid,
            series_instance_uid=self.series_instance_uid,
            sha256=instance.sha256,
            size=instance.size,
            blobs=tuple(blob for blob in blobs if blob.kind is not Kind.PREVIEW),
            attributes=self.attributes,
            previews=tuple(blob for blob in blobs if blob.kind is Kind.PREVIEW),
        )


def plan_slices(instance: LargeInstance, slice_bytes: int = SLICE_BYTES) -> SlicePlan:
    """How to code an instance; reads its header.

    Args:
        instance: what is coded.
        slice_bytes: that go together, or one piece that is larger.

    Raises:
        BrokenInstanceError: one without Study, Series or SOP Instance UID.
        P2PacsError: it cannot be read.
    """
    header = read_large_header(instance.read, instance.size, instance.transfer_syntax_uid)
    attributes = {} if header is None else attributes_of(header)
    study, series = checked_uids(instance, attributes)
    syntax = instance.transfer_syntax_uid
    pieces = tuple(pieces_of(instance.size, header, attributes, instance.read, syntax))
    return SlicePlan(
        study_instance_uid=study,
        series_instance_uid=series,
        attributes=dump(attributes),
        slices=tuple(_slices(pieces, slice_bytes)),
        shape=frame_shape(header, pieces, syntax),
        compressible=syntax in COMPRESSIBLE,
    )


def _slices(pieces: tuple[SplitPiece, ...], most: int) -> Iterator[Slice]:
    together: list[SplitPiece] = []
    for piece in pieces:
        if together and piece.end - together[0].start > most:
            yield _slice(together)
            together = []
        together.append(piece)
    if together:
        yield _slice(together)


def _slice(pieces: list[SplitPiece]) -> Slice:
    start, end = pieces[0].start, pieces[-1].end
    moved = (SplitPiece(one.kind, one.start - start, one.end - start) for one in pieces)
    return Slice(start, end, tuple(moved))


def stays_as_it_is(piece: Slice, plan: SlicePlan) -> bool:
    """Whether no codec makes anything of a slice: it is compressed already."""
    return not plan.compressible and all(one.kind is Kind.ENCAPSULATED for one in piece.pieces)


def code_one(
    data: bytes,
    pieces: tuple[SplitPiece, ...],
    coding: Coding | None,
    shape: FrameShape | None,
    compressible: bool,
) -> tuple[CodedBlob, ...]:
    """See `p2pacs.study.coding.code_slice`."""
    return tuple(code_slice(data, pieces, coding, shape, compressible=compressible))


def without_bytes(blobs: tuple[CodedBlob, ...]) -> tuple[CodedBlob, ...]:
    """What finds these blobs again."""
    return tuple(evolve(blob, coded=b"") for blob in blobs)
