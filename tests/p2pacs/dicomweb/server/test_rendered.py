"""Requests for pictures, of a backend that has frames."""

from __future__ import annotations

import pytest

from p2pacs.rendering.options import JPEG, PNG, RenderedViewport, RenderOptions, VoiWindow
from tests.p2pacs.dicomweb.server.test_frames import IMAGES, PATH, Image, asked_at, parts

INSTANCE = PATH.removesuffix("frames/")


@pytest.mark.parametrize(
    ("path", "accept", "frame", "options"),
    [
        ("rendered", "*/*", 1, RenderOptions()),
        (
            "rendered?accept=image/png",
            "image/avif,image/webp,image/*,*/*;q=0.8",
            1,
            RenderOptions(PNG),
        ),
        ("frames/3/rendered", "image/png, image/jpeg", 3, RenderOptions(PNG)),
        (
            "frames/3/rendered?window=40,400,linear&viewport=64,32&quality=50",
            JPEG,
            3,
            RenderOptions(JPEG, 50, VoiWindow(40, 400), RenderedViewport(64, 32)),
        ),
        ("thumbnail", "*/*", 3, RenderOptions(viewport=RenderedViewport(128, 128))),
        (
            "frames/5/thumbnail?viewport=9,9",
            "*/*",
            5,
            RenderOptions(viewport=RenderedViewport(9, 9)),
        ),
        ("rendered?annotation=patient&unknown=1", "*/*", 1, RenderOptions()),
    ],
)
async def test_pictures(path: str, accept: str, frame: int, options: RenderOptions) -> None:
    image = Image()
    answer = await asked_at(image, INSTANCE + path, accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == options.media_type
    assert answer.content == IMAGES[frame - 1]
    assert image.drawn == [(frame, options)]
    again = await asked_at(image, INSTANCE + path, accept, If_None_Match=answer.headers["etag"])
    assert again.status_code == 304
    assert len(image.drawn) == 1


async def test_pictures_in_parts() -> None:
    answer = await asked_at(Image(), INSTANCE + "rendered", "multipart/related; type=image/png")
    assert parts(answer) == [(PNG, IMAGES[0])]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("rendered", "application/dicom", 406),
        ("rendered", "video/mp4", 406),
        ("rendered?window=1", "*/*", 400),
        ("rendered?viewport=0,0", "*/*", 400),
        ("rendered?quality=5&quality=6", "*/*", 400),
        ("frames/1,2/rendered", "image/png", 406),
        ("frames/1,6/rendered", "*/*", 404),
        ("frames/6/rendered", "*/*", 404),
        ("frames/0/thumbnail", "*/*", 400),
    ],
)
async def test_what_cannot_be_is_said(path: str, accept: str, status: int) -> None:
    image = Image()
    answer = await asked_at(image, INSTANCE + path, accept)
    assert answer.status_code == status
    assert not image.drawn


async def test_several_pictures_are_parts() -> None:
    image = Image()
    path = INSTANCE + "frames/2,5/rendered?quality=70"
    answer = await asked_at(image, path)
    assert parts(answer) == [(JPEG, IMAGES[1]), (JPEG, IMAGES[4])]
    assert [frame for frame, _ in image.drawn] == [2, 5]
    assert f"http://127.0.0.1{PATH}5/rendered?quality=70\r\n".encode() in answer.content
    again = await asked_at(image, path, If_None_Match=answer.headers["etag"])
    assert again.status_code == 304
