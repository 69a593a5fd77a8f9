"""Drawing what is shown of a study before all of it is here: previews and contact sheets (Pillow).

Nothing of the patient is on a sheet: images are named by their numbers in the study.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from itertools import groupby
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from peer.api.png import png_file
from peer.commands.get.sheet_layout import Cell, Layout

BANNER: Final = "PREVIEW - NOT FOR DIAGNOSIS"

THUMB: Final = 128
"""Pixels of a cell's longer side where there is room ..."""

SMALL: Final = 96
"""... and where there are many."""

ROOMY: Final = 120
"""So many cells have room."""

WIDE: Final = 1.6
"""A sheet has so many times as many columns as rows, as screens have, ..."""

LEAST: Final = 5
"""... but so many columns at least: else the banner has no place."""

GAP, LABEL, TITLE, MARGIN = 4, 15, 24, 12
"""Pixels between cells, of a cell's number, of a series' title, around all."""

BAND, HEAD = 44, 72
"""Pixels of the banner, and of it with the line below."""

BLACK, GREY, WHITE = "#000", "#999", "#fff"


def thumb(png: bytes) -> Image.Image:
    """A picture out of a PNG file, small enough for a cell."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
        image = opened.convert("L" if opened.mode == "L" else "RGB")
    image.thumbnail((THUMB, THUMB))
    return image


def render(layout: Layout, thumbs: Mapping[Cell, Image.Image]) -> bytes:
    """A contact sheet as a PNG file; a cell without a picture has a dash."""
    return _Sheet(layout, thumbs).png()


class _Sheet:
    """One drawing, from top to bottom."""

    def __init__(self, layout: Layout, thumbs: Mapping[Cell, Image.Image]) -> None:
        self._layout = layout
        self._thumbs = thumbs
        self._side = THUMB if len(layout.cells) <= ROOMY else SMALL
        self._columns = max(LEAST, math.isqrt(int(WIDE * len(layout.cells))))
        self._series = [
            (series, list(cells))
            for series, cells in groupby(layout.cells, key=lambda cell: cell.series)
        ]
        rows = sum(-(-len(cells) // self._columns) for _, cells in self._series)
        width = 2 * MARGIN + self._columns * (self._side + GAP)
        height = HEAD + len(self._series) * TITLE + rows * self._pitch + MARGIN
        mode = "RGB" if any(image.mode == "RGB" for image in thumbs.values()) else "L"
        self._image = Image.new(mode, (width, height), BLACK)
        self._pen = ImageDraw.Draw(self._image)

    @property
    def _pitch(self) -> int:
        """From a row to the next."""
        return self._side + GAP + LABEL

    def png(self) -> bytes:
        """The whole."""
        self._pen.rectangle((0, 0, self._image.width, BAND), WHITE)
        self._text(MARGIN, 4, BANNER, 30, BLACK)
        self._text(MARGIN, BAND + 6, self._counts(), 14, WHITE)
        top = HEAD
        for series, cells in self._series:
            self._text(MARGIN, top + 4, f"Series {series}", 14, WHITE)
            top += TITLE
            for place, cell in enumerate(cells):
                row, column = divmod(place, self._columns)
                left = MARGIN + column * (self._side + GAP)
                self._cell(cell, left, top + row * self._pitch)
            top += -(-len(cells) // self._columns) * self._pitch
        return png_file(self._image)

    def _counts(self) -> str:
        shown = f"{len(self._thumbs)} of {self._layout.images} images"
        if self._layout.stride == 1:
            return shown
        return f"{shown}; there is room for one of {self._layout.stride} of each series"

    def _cell(self, cell: Cell, left: int, top: int) -> None:
        side = self._side
        image = self._thumbs.get(cell)
        if image is None:
            middle, half = top + side // 2, side // 16
            self._pen.line(
                (left + side // 2 - half, middle, left + side // 2 + half, middle), GREY, 2
            )
        else:
            fitted = ImageOps.contain(image, (side, side))
            corner = (left + (side - fitted.width) // 2, top + (side - fitted.height) // 2)
            self._image.paste(fitted, corner)
        self._text(left, top + side, cell.label, 11, GREY)

    def _text(self, left: int, top: int, text: str, size: int, colour: str) -> None:
        self._pen.text((left, top), text, colour, font=ImageFont.load_default(size))
