from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest

from p2pacs.errors import CodingError
from p2pacs.study.compressed import JPEG_IN_XL, JPEG_LOSSLESS, RLE
from p2pacs.study.compressed.description import CompressedShape
from p2pacs.study.compressed.frames import CompressedCoder, decode_compressed
from p2pacs.study.images import CodedFrame, Coding, Shape
from p2pacs.study.images.form import read_form
from p2pacs.study.images.frames import FrameCoder
from p2pacs.study.images.picture import picture
from p2pacs.transcode.syntaxes import FrameCoding
from tests.p2pacs.study.images.made import values

GREY = values((200, 160, 1), 12, "smooth", 1)[..., 0].astype(np.uint16)
COLOUR = values((200, 160, 3), 8, "smooth", 1).astype(np.uint8)


def streams() -> dict[FrameCoding, tuple[bytes, CompressedShape]]:
    grey = Shape(200, 160, 1, 16, window=(2048, 4096))
    colour = Shape(200, 160, 3, 8, photometric="RGB")
    jpeg = imagecodecs.jpeg8_encode(COLOUR, colorspace="RGB", outcolorspace="RGB", level=90)
    lossless = imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1, bitspersample=12)
    made: dict[FrameCoding, tuple[Any, Shape, int]] = {
        FrameCoding.JPEG: (jpeg, colour, 8),
        FrameCoding.JPEG_LOSSLESS: (lossless, grey, 12),
        FrameCoding.JPEG_LS: (imagecodecs.jpegls_encode(GREY), grey, 16),
        FrameCoding.J2K: (
            imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", reversible=True),
            grey,
            16,
        ),
    }
    return {
        coding: (bytes(stream), CompressedShape(coding, shape, stored))
        for coding, (stream, shape, stored) in made.items()
    }


def coded(coding: FrameCoding, site: Coding = Coding.SMALLEST) -> tuple[bytes, CodedFrame | None]:
    stream, shape = streams()[coding]
    return stream, CompressedCoder(site, FrameCoder(site)).encode(stream, shape)


@pytest.mark.parametrize(
    ("coding", "codec"),
    [(FrameCoding.JPEG, JPEG_IN_XL), (FrameCoding.JPEG_LOSSLESS, JPEG_LOSSLESS)],
)
def test_what_gets_smaller(coding: FrameCoding, codec: int) -> None:
    stream, found = coded(coding)
    assert found is not None
    assert found.codec == codec
    assert len(found.coded) < len(stream)
    assert decode_compressed(codec, found.coded, len(stream)) == stream
    assert found.preview is not None


@pytest.mark.parametrize("coding", [FrameCoding.JPEG_LS, FrameCoding.J2K])
def test_what_stays_has_a_preview(coding: FrameCoding) -> None:
    _, found = coded(coding)
    assert found is not None
    assert found.codec is None
    assert found.parts == ()
    assert found.preview is not None


@pytest.mark.parametrize("coding", list(streams()))
def test_a_site_that_wants_speed_gets_previews_alone(coding: FrameCoding) -> None:
    """And what it publishes, versions before these codecs read, too."""
    _, found = coded(coding, Coding.PROGRESSIVE)
    assert found is not None
    assert found.codec is None
    assert found.preview is not None


@pytest.mark.parametrize("coding", list(streams()))
def test_previews_show_the_image(coding: FrameCoding) -> None:
    _, found = coded(coding)
    assert found is not None
    assert found.preview is not None
    level, preview, _ = found.preview
    form = read_form(preview)
    shown = picture(3, preview)
    assert (form.rows, form.columns) == (-(-200 // 2**level), -(-160 // 2**level))
    pixels = np.frombuffer(shown.pixels, np.uint8).reshape(shown.rows, shown.columns, -1)
    full = COLOUR if coding is FrameCoding.JPEG else (GREY // 16)[..., np.newaxis]
    small = full[:: 2**level, :: 2**level].astype(int)
    assert np.abs(pixels.astype(int) - small).mean() < 12


def test_what_does_not_decode_has_nothing() -> None:
    for stream, shape in streams().values():
        coder = CompressedCoder(Coding.SMALLEST, FrameCoder(Coding.SMALLEST))
        assert coder.encode(stream[: len(stream) // 2], shape) is None
        assert coder.encode(b"", shape) is None


def test_a_shape_that_lies_costs_the_preview_alone() -> None:
    stream, shape = streams()[FrameCoding.JPEG_LOSSLESS]
    wrong = CompressedShape(shape.coding, Shape(7, 9, 1, 32), 0)
    coder = CompressedCoder(Coding.SMALLEST, FrameCoder(Coding.SMALLEST))
    found = coder.encode(stream, wrong)
    assert found is not None
    assert found.codec == JPEG_LOSSLESS
    assert decode_compressed(JPEG_LOSSLESS, found.coded, len(stream)) == stream


def test_another_codec() -> None:
    with pytest.raises(CodingError, match="not one for compressed frames"):
        decode_compressed(3, b"", 1)
    with pytest.raises(CodingError):
        decode_compressed(RLE, b"", 1)
