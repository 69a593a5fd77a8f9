import io

import pytest
from PIL import Image

from p2pacs.study.images import Picture
from peer.api.png import NOTICE, to_png
from peer.commands.get.sheet import (
    BAND,
    HEAD,
    MARGIN,
    ROOMY,
    SMALL,
    THUMB,
    TITLE,
    render,
    thumb,
)
from peer.commands.get.sheet_layout import Item, Layout, choose


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png), formats=["PNG"])
    image.load()
    return image


def layout(count: int) -> Layout:
    return choose([Item(n, 1, n, 1) for n in range(1, count + 1)])


def plain(size: tuple[int, int] = (64, 64), *, mode: str = "L") -> Image.Image:
    return Image.new(mode, size, 200 if mode == "L" else (200, 0, 0))


@pytest.mark.parametrize(("rows", "columns", "size"), [(512, 256, (64, 128)), (20, 30, (30, 20))])
def test_thumbs_fit_a_cell(rows: int, columns: int, size: tuple[int, int]) -> None:
    png = to_png(Picture(rows, columns, 1, bytes(rows * columns)))
    assert thumb(png).size == size


def test_a_sheet_has_banner_pictures_and_dashes() -> None:
    sheet = layout(7)
    thumbs = {cell: plain() for cell in sheet.cells[:6]}
    image = opened(render(sheet, thumbs))
    assert image.mode == "L"
    assert image.info == {"Comment": NOTICE}
    pixels = image.load()
    assert pixels is not None
    assert {pixels[x, 2] for x in range(image.width)} == {255}  # the banner is as wide as the sheet
    inked = [pixels[x, y] for x in range(image.width) for y in range(BAND)]
    assert min(inked) == 0
    assert image.getextrema()[1] == 255
    counts = image.crop((0, BAND + 1, image.width, image.height)).histogram()
    assert counts[200] >= 6 * THUMB**2  # small ones are enlarged


def test_colour_makes_a_sheet_coloured() -> None:
    sheet = layout(2)
    first, second = sheet.cells
    image = opened(render(sheet, {first: plain(), second: plain(mode="RGB")}))
    assert image.mode == "RGB"
    colours = {colour for _, colour in image.getcolors(1 << 16) or ()}
    assert {(200, 200, 200), (200, 0, 0)} <= colours


@pytest.mark.parametrize(("count", "side"), [(ROOMY, THUMB), (ROOMY + 1, SMALL)])
def test_many_images_are_smaller(count: int, side: int) -> None:
    sheet = layout(count)
    image = opened(render(sheet, {sheet.cells[0]: plain((128, 128))}))
    corner = image.crop((0, HEAD, MARGIN + THUMB, HEAD + TITLE + THUMB))
    assert side**2 <= corner.histogram()[200] < side**2 + 100  # some pixels of letters


def test_nothing_can_be_drawn_too() -> None:
    assert opened(render(layout(0), {})).size > (0, 0)
