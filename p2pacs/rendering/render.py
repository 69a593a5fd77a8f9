"""What a worker process does to draw a frame."""

from __future__ import annotations

from attrs import field, frozen

from p2pacs.dataset.header import DEFLATED, read_header
from p2pacs.errors import BrokenInstanceError
from p2pacs.rendering.description import describe
from p2pacs.rendering.options import RenderOptions

EXPLICIT = "1.2.840.10008.1.2.1"


@frozen
class RenderRequest:
    """A frame to be drawn."""

    frame: bytes = field(repr=False)
    """Native, little endian."""
    header: bytes = field(repr=False)
    """The beginning of its data set."""
    transfer_syntax: str
    """Of the data set."""
    number: int
    """Of the frame, from 1."""
    options: RenderOptions


def render(request: RenderRequest) -> bytes:
    """A coded picture of a frame.

    Raises:
        BrokenInstanceError: it is not as its header says.
        NotAcceptableError: it is of a kind that is not drawn here.
    """
    from p2pacs.rendering.picture import draw_native  # noqa: PLC0415 - numpy is for workers only

    syntax = EXPLICIT if request.transfer_syntax == DEFLATED else request.transfer_syntax
    header = read_header(request.header, syntax)
    if header is None:
        raise BrokenInstanceError("the header of an instance cannot be read")
    return draw_native(request.frame, describe(header, request.number - 1), request.options)
