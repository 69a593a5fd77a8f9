"""What the viewer (OHIF) shows in a real browser, and whether it is the right picture."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.components import dcmtk

CANVAS: Final = "canvas.cornerstone-canvas"
LIKE: Final = 0.98
"""Correlation of two pictures of one slice: they are scaled in different ways."""

_DRAWN: Final = """selector => {
    const canvas = document.querySelector(selector);
    if (!canvas || !canvas.width || !canvas.height) return false;
    const size = 64, small = document.createElement("canvas");
    small.width = small.height = size;
    const context = small.getContext("2d");
    context.drawImage(canvas, 0, 0, size, size);
    const bytes = context.getImageData(0, 0, size, size).data;
    return new Set(bytes.filter((_, at) => at % 4 === 0)).size > 16;
}"""
"""Whether more than a few shades of grey are on the canvas: an image, no empty one."""


def shown_picture(page: Page) -> Image.Image:
    """The image that the viewer draws: waited for, and cut out of its canvas."""
    page.wait_for_function(_DRAWN, arg=CANVAS)
    url: str = page.evaluate("selector => document.querySelector(selector).toDataURL()", CANVAS)
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")
    side = min(image.size)  # it fills the canvas from top to bottom
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def reference(file: Path, made: Path, side: int) -> Image.Image:
    """DCMTK's picture of a file in the first window of its header.

    Args:
        file: a square image.
        made: where DCMTK writes it.
        side: rows and columns wanted.
    """
    done = dcmtk("dcmj2pnm", "+Wi", "1", "--write-png", str(file), str(made))
    assert made.exists(), done.stdout
    return Image.open(made).convert("L").resize((side, side), Image.Resampling.BILINEAR)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Correlation of the grey of two pictures of one size: 1 for equal ones."""
    first, second = (np.asarray(image, float).ravel() for image in (one, other))
    return float(np.corrcoef(first, second)[0, 1])
