"""What a header says of its compressed frames, as far as coding them needs it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.dataset.header import Header
from p2pacs.study.images import Shape
from p2pacs.study.images.shape import BITS_STORED, described, short
from p2pacs.transcode.image import Image
from p2pacs.transcode.syntaxes import FrameCoding, coding_of

_NOT_COMPRESSED: Final = frozenset((None, FrameCoding.RAW, FrameCoding.DEFLATED))


@frozen
class CompressedShape:
    """How the frames of a data set are compressed, and what to show of them."""

    coding: FrameCoding
    shape: Shape
    stored: int
    """Bits Stored."""

    @property
    def image(self) -> Image:
        """The native frames that they decode to."""
        return Image(
            rows=self.shape.rows,
            columns=self.shape.columns,
            samples=self.shape.samples,
            allocated=self.shape.bits,
            stored=self.stored,
            signed=self.shape.signed,
            photometric=self.shape.photometric,
            frames=1,
        )


def is_cut(transfer_syntax_uid: str) -> bool:
    """Whether pixel data of this transfer syntax are cut into frames."""
    return coding_of(transfer_syntax_uid) not in _NOT_COMPRESSED


def compressed_shape(header: Header, transfer_syntax_uid: str) -> CompressedShape | None:
    """What a header says of its compressed frames; None if they are not, or not known here."""
    coding = coding_of(transfer_syntax_uid)
    if coding is None or not is_cut(transfer_syntax_uid):
        return None
    return CompressedShape(coding, described(header), short(header, BITS_STORED, 0))
