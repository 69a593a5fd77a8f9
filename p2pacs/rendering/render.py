"""What a worker process does with a frame: decoding it, drawing it."""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from p2pacs.dataset.header import DEFLATED, EXPLICIT, required_header
from p2pacs.errors import NotAcceptableError
from p2pacs.limits import DECODED_FRAME_BYTES
from p2pacs.rendering.description import ImageDescription, describe
from p2pacs.rendering.options import RenderOptions
from p2pacs.transcode.image import Image
from p2pacs.transcode.syntaxes import FrameCoding, coding_of

_OTHER_COLOURS: Final = (
    "decoded, the frame has other colours than its data set says: take it as it is"
)


@frozen
class FrameInput:
    """A frame with what says how to read it."""

    frame: bytes = field(repr=False)
    """As it is stored; native ones little endian."""
    header: bytes = field(repr=False)
    """The beginning of its data set."""
    transfer_syntax: str
    """Of the data set."""
    number: int
    """Of the frame, from 1."""


def render(given: FrameInput, options: RenderOptions) -> bytes:
    """A coded picture of a frame.

    Raises:
        BrokenInstanceError: it is not as its header says.
        NotAcceptableError: it is of a kind that is not drawn here.
        TranscodingError: it does not decode.
    """
    from p2pacs.rendering.picture import draw_native  # noqa: PLC0415 - numpy is for workers only

    native, image = _native(given, _described(given))
    return draw_native(native, image, options)


def decode_native(given: FrameInput) -> bytes:
    """A compressed frame in native form, as its header says that samples lie.

    Raises:
        BrokenInstanceError: it is not as its header says.
        NotAcceptableError: its samples would mean other colours than its header says.
        TranscodingError: it does not decode.
    """
    from p2pacs.rendering.picture import planes  # noqa: PLC0415 - numpy is for workers only

    said = _described(given)
    native, image = _native(given, said)
    if image.samples > 1 and image.photometric != said.photometric:
        raise NotAcceptableError(_OTHER_COLOURS)
    apart = said.planar and not image.planar and image.samples > 1
    return planes(native, image) if apart else native


def code_htj2k(given: FrameInput) -> bytes:
    """A frame as `p2pacs.transcode.htj2k.encode_htj2k` codes it, whatever it is stored in.

    Raises:
        P2PacsError: as `decode_native`, or of the coding.
    """
    from p2pacs.transcode.htj2k import encode_htj2k  # noqa: PLC0415 - numpy is for workers only

    said = _described(given)
    native, image = _native(given, said)
    if image.samples > 1 and image.photometric != said.photometric:
        raise NotAcceptableError(_OTHER_COLOURS)
    return encode_htj2k(native, _as_transcoded(image), planar=image.planar)


def _described(given: FrameInput) -> ImageDescription:
    syntax = EXPLICIT if given.transfer_syntax == DEFLATED else given.transfer_syntax
    return describe(required_header(given.header, syntax), given.number - 1)


def _native(given: FrameInput, image: ImageDescription) -> tuple[bytes, ImageDescription]:
    """The frame in native form, and how its samples lie then."""
    coding = coding_of(given.transfer_syntax)
    if coding is None:
        return given.frame, image
    frame, photometric = _decoded(coding, given.frame, image)
    if photometric is None:
        return frame, image
    return frame, evolve(image, photometric=photometric, planar=False, high=image.stored - 1)


def _decoded(
    coding: FrameCoding, frame: bytes, image: ImageDescription
) -> tuple[bytes, str | None]:
    from p2pacs.transcode.frames import decode_frame  # noqa: PLC0415 - numpy is for workers only

    as_transcoded = _as_transcoded(image)
    if image.high != image.stored - 1 or image.allocated not in (8, 16, 32, 64):
        raise NotAcceptableError("frames of such samples are not decoded here: take it as it is")
    if not 0 < as_transcoded.frame_bytes <= DECODED_FRAME_BYTES:
        raise NotAcceptableError("the frame is too large to be decoded here: take it as it is")
    return decode_frame(coding, frame, as_transcoded)


def _as_transcoded(image: ImageDescription) -> Image:
    return Image(
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        allocated=image.allocated,
        stored=image.stored,
        signed=image.signed,
        photometric=image.photometric,
        frames=1,
    )
