"""Pictures as PNG files that say what they are for (Pillow)."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from p2pacs.study.images import Picture

NOTICE: Final = "preview, not for diagnosis"
"""In a text chunk of every PNG file."""


def to_png(picture: Picture) -> bytes:
    """A picture as a PNG file."""
    mode = "L" if picture.samples == 1 else "RGB"
    return png_file(Image.frombytes(mode, (picture.columns, picture.rows), picture.pixels))


def png_file(image: Image.Image) -> bytes:
    """A PNG file with the notice in it, packed fast: it is for this machine."""
    info = PngInfo()
    info.add_text("Comment", NOTICE)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info, compress_level=1)
    return out.getvalue()
