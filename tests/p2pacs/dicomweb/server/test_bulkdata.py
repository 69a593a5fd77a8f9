"""Requests for bulk data, of a backend that has some."""

from __future__ import annotations

import pytest

from tests.p2pacs.dicomweb.server.test_frames import (
    EXPLICIT,
    IMAGES,
    OCTETS,
    PATH,
    Image,
    asked_at,
    parts,
)

BULK = PATH.removesuffix("frames/") + "bulkdata/"
SAID = f"{OCTETS}; transfer-syntax={EXPLICIT}"


async def test_a_value() -> None:
    for path in ("00420011", "00880200/2/7FE00010"):
        answer = await asked_at(Image(), BULK + path, f"multipart/related; type={OCTETS}")
        assert answer.status_code == 200
        assert parts(answer) == [(SAID, path.encode())]
        single = await asked_at(Image(), BULK + path, OCTETS, Range="bytes=2-")
        assert (single.status_code, single.content) == (206, path.encode()[2:])
        again = await asked_at(Image(), BULK + path, If_None_Match=answer.headers["etag"])
        assert again.status_code == 304


async def test_pixel_data_are_all_frames() -> None:
    answer = await asked_at(Image(EXPLICIT), BULK + "7FE00010")
    assert parts(answer) == [(SAID, image) for image in IMAGES]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("00420011", "image/png", 406),
        ("PatientName", "*/*", 400),
        ("00420011/1", "*/*", 400),
        ("00420012", "*/*", 404),
        ("1/" * 3000, "*/*", 400),
    ],
)
async def test_what_cannot_be_is_said(path: str, accept: str, status: int) -> None:
    answer = await asked_at(Image(), BULK + path, accept)
    assert answer.status_code == status
