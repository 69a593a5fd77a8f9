"""What a picture is to be like (PS3.18 8.3.5). Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Self

from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.limits import PICTURE_SIDE

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"

QUALITY: Final = 90
"""Of JPEG, where nobody asks for another: no artefacts that one sees."""

THUMBNAIL_SIDE: Final = 128
"""Pixels of a thumbnail's longer side, where nobody asks for another."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,9})?")
_WHOLE: Final = re.compile(r"[0-9]{1,5}")

_VIEWPORT: Final = "viewport must be the width and height of the picture: 512,512, or with a region"
_WINDOW: Final = "window must be centre, width and function: 40,400,linear"


class VoiFunction(StrEnum):
    """How values become greys (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    LINEAR = "linear"
    LINEAR_EXACT = "linear-exact"
    SIGMOID = "sigmoid"


@frozen
class VoiWindow:
    """Which values are shown as greys, in the units of the modality."""

    centre: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value of the parameter ``window`` (PS3.18 8.3.5.1.4).

        Raises:
            UsageError: it is none.
        """
        parts = [part.strip() for part in text.split(",", 3)]
        if not 2 <= len(parts) <= 3 or not all(_NUMBER.fullmatch(part) for part in parts[:2]):
            raise UsageError(_WINDOW)
        centre, width = map(float, parts[:2])
        try:
            function = VoiFunction(parts[2].lower()) if len(parts) == 3 else VoiFunction.LINEAR
        except ValueError as error:
            raise UsageError(_WINDOW) from error
        if width < 1 and (function is VoiFunction.LINEAR or width <= 0):
            raise UsageError("the width of a window must be 1 or more")
        return cls(centre, width, function)


@frozen
class RenderedViewport:
    """Which part of the image is shown, and how large."""

    width: int
    """Of the picture at most; it keeps the shape of what it shows."""
    height: int
    left: float = 0.0
    top: float = 0.0
    region_width: float | None = None
    """In pixels of the image, None: all that is right of ``left``; negative: flipped."""
    region_height: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value of the parameter ``viewport`` (PS3.18 8.3.5.1.3).

        Raises:
            UsageError: it is none, or too large.
        """
        parts = [part.strip() for part in text.split(",", 6)]
        if not 2 <= len(parts) <= 6 or not all(_WHOLE.fullmatch(part) for part in parts[:2]):
            raise UsageError(_VIEWPORT)
        if not all(not part or _NUMBER.fullmatch(part) for part in parts[2:]):
            raise UsageError(_VIEWPORT)
        width, height = map(int, parts[:2])
        if not 0 < width <= PICTURE_SIDE or not 0 < height <= PICTURE_SIDE:
            raise UsageError(f"a picture has 1 to {PICTURE_SIDE} pixels a side")
        left, top, wide, high = [*(float(part) if part else None for part in parts[2:])] + [
            None
        ] * (6 - len(parts))
        if 0.0 in (wide, high) or (left or 0) < 0 or (top or 0) < 0:
            raise UsageError(_VIEWPORT)
        return cls(width, height, left or 0.0, top or 0.0, wide, high)


@frozen
class RenderOptions:
    """What a picture is to be like."""

    media_type: str = JPEG
    quality: int = QUALITY
    window: VoiWindow | None = None
    """None: what the data set says, else what shows all values."""
    viewport: RenderedViewport | None = None
    """None: all of the image, pixel by pixel."""

    @classmethod
    def parse(
        cls, parameters: Mapping[str, Sequence[str]], media_type: str, *, thumbnail: bool = False
    ) -> Self:
        """What the parameters of a URL say; those that it does not know are passed over.

        Raises:
            UsageError: one of them makes no sense, or is given twice.
        """
        quality = _single(parameters, "quality")
        window = None if thumbnail else _single(parameters, "window")
        viewport = _single(parameters, "viewport")
        if quality is not None and not (_WHOLE.fullmatch(quality) and 1 <= int(quality) <= 100):
            raise UsageError("quality must be a number from 1 to 100")
        shown = None if viewport is None else RenderedViewport.parse(viewport)
        if thumbnail and shown is None:
            shown = RenderedViewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        return cls(
            media_type,
            QUALITY if quality is None else int(quality),
            None if window is None else VoiWindow.parse(window),
            shown,
        )


def _single(parameters: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = parameters.get(name, ())
    if len(values) > 1:
        raise UsageError(f"{name} is given more than once")
    return values[0] if values and values[0].strip() else None


def is_finite(*numbers: float) -> bool:
    """Whether all are numbers that can be computed with."""
    return all(map(math.isfinite, numbers))
