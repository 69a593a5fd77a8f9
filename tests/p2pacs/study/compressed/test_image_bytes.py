from __future__ import annotations

import pytest

from p2pacs.errors import CodingError
from p2pacs.study.compressed import JPEG_IN_XL, JPEG_LOSSLESS
from p2pacs.study.compressed.image_bytes import (
    RECIPE_BYTES,
    image_bytes,
    reversible_bytes,
    split_recipe,
    with_recipe,
)
from p2pacs.study.images.form import Form


def test_a_recipe_and_its_image() -> None:
    image = Form(300, 200, 1, 16).pack() + b"codestream"
    coded = with_recipe(1, b"recipe", image)
    assert split_recipe(coded) == (b"recipe", image, 1)
    assert image_bytes(JPEG_LOSSLESS, coded) == 300 * 200 * 2


def test_what_is_broken_has_no_image() -> None:
    assert image_bytes(JPEG_LOSSLESS, b"") == 0
    assert image_bytes(JPEG_LOSSLESS, with_recipe(0, b"recipe", b"short")) == 0
    assert image_bytes(JPEG_IN_XL, b"junk") == 0


def test_recipes_are_bounded() -> None:
    with pytest.raises(CodingError, match="recipe"):
        split_recipe(with_recipe(0, bytes(RECIPE_BYTES + 1), b""))


def test_boxes_are_bounded() -> None:
    boxes = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x08free" * 1000
    with pytest.raises(CodingError, match="not a JPEG XL codestream"):
        reversible_bytes(boxes)
