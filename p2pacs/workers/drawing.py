"""What workers call to draw; the codecs are imported there alone."""

from __future__ import annotations

from p2pacs.study.images import Picture


def draw(codec: int, coded: bytes) -> Picture:
    """A picture of a frame (`p2pacs.study.images.picture.picture`).

    Raises:
        CodingError: it does not decode within its bounds, or too little of it is here.
    """
    from p2pacs.study.images.picture import picture  # noqa: PLC0415 - numpy is for workers only

    return picture(codec, coded)


def prepare() -> None:
    """Import what frames are decoded with, numpy and the codecs, and what is called for it: that
    takes longer than a frame."""
    from p2pacs.study import excerpt, gathered  # noqa: F401, PLC0415 - called by their names
    from p2pacs.study.images.frames import load_codecs  # noqa: PLC0415

    load_codecs()
