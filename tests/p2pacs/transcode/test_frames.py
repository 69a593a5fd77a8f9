import zlib
from typing import Any

import numpy as np
import pytest

from p2pacs.errors import TranscodingError
from p2pacs.transcode.frames import decode_frame
from p2pacs.transcode.image import Image
from p2pacs.transcode.syntaxes import FrameCoding
from tests.p2pacs.transcode.samples import (
    htj2k,
    j2k,
    jpeg,
    jpeg_ls,
    jpeg_xl,
    lossless,
    noise,
)


def image(
    stored: int = 12,
    allocated: int = 16,
    *,
    signed: bool = False,
    samples: int = 1,
    photometric: str = "MONOCHROME2",
) -> Image:
    return Image(20, 30, samples, allocated, stored, signed, photometric, 1)


def native(pixels: Any, allocated: int = 16) -> bytes:
    kind = "i" if pixels.dtype.kind == "i" else "u"
    return bytes(pixels.astype(f"<{kind}{allocated // 8}").tobytes())


CODED = {
    FrameCoding.JPEG_LOSSLESS: lossless,
    FrameCoding.JPEG_LS: lambda pixels, _: jpeg_ls(pixels),
    FrameCoding.J2K: j2k,
    FrameCoding.HTJ2K: lambda pixels, _: htj2k(pixels),
    FrameCoding.JPEG_XL: lambda pixels, _: jpeg_xl(pixels),
    FrameCoding.RAW: lambda pixels, _: pixels.tobytes(),
    FrameCoding.DEFLATED: lambda pixels, _: zlib.compress(pixels.tobytes(), wbits=-15),
}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("bits", [12, 16])
def test_grey(coding: FrameCoding, bits: int) -> None:
    pixels = noise(bits)
    coded = CODED[coding](pixels, bits)
    found, _ = decode_frame(coding, coded, image(bits))
    assert found == native(pixels)


@pytest.mark.parametrize(
    "coding",
    [one for one in CODED if one is not FrameCoding.JPEG_XL],
    ids=lambda coding: coding.name,
)
def test_colour(coding: FrameCoding) -> None:
    pixels = noise(8, colour=True)
    coded = CODED[coding](pixels, 8)
    found, photometric = decode_frame(coding, coded, image(8, 8, samples=3, photometric="RGB"))
    assert found == native(pixels, 8)
    assert photometric in ("RGB", None)


def test_eight_bits_in_sixteen() -> None:
    pixels = noise(8)
    found, _ = decode_frame(FrameCoding.JPEG_LS, jpeg_ls(pixels), image(8, 16))
    assert found == native(pixels)


@pytest.mark.parametrize(
    "coding", [FrameCoding.JPEG_LOSSLESS, FrameCoding.J2K], ids=lambda coding: coding.name
)
@pytest.mark.parametrize("bits", [12, 16])
def test_the_sign_comes_back(coding: FrameCoding, bits: int) -> None:
    pixels = noise(bits, signed=True)
    low = pixels.view(np.uint16) & ((1 << bits) - 1)
    found, _ = decode_frame(coding, CODED[coding](low, bits), image(bits, signed=True))
    assert found == native(pixels)


@pytest.mark.parametrize("bits", [12, 16])
def test_jpeg_2000_that_knows_signs(bits: int) -> None:
    pixels = noise(bits, signed=True)
    for coding, coded in (
        (FrameCoding.J2K, j2k(pixels, bits)),
        (FrameCoding.HTJ2K, htj2k(pixels)),
    ):
        found, _ = decode_frame(coding, coded, image(bits, signed=True))
        assert found == native(pixels)
        with pytest.raises(TranscodingError, match="negative"):
            decode_frame(coding, coded, image(bits))


def test_a_sign_that_nobody_knows_is_refused() -> None:
    coded = lossless(noise(12), 12)
    with pytest.raises(TranscodingError, match="signed"):
        decode_frame(FrameCoding.JPEG_LOSSLESS, coded, image(16, signed=True))
    small = noise(11) | 2048
    positive = lossless(small & 2047, 12)
    found, _ = decode_frame(FrameCoding.JPEG_LOSSLESS, positive, image(16, signed=True))
    assert found == native(small & 2047)


def test_a_jpeg_becomes_rgb() -> None:
    pixels = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    shape = image(8, 8, samples=3, photometric="YBR_FULL_422")
    found, photometric = decode_frame(FrameCoding.JPEG, jpeg(pixels, subsampling="422"), shape)
    assert photometric == "RGB"
    assert np.abs(np.frombuffer(found, np.uint8).astype(int) - pixels.ravel()).max() <= 3


def test_a_jpeg_of_rgb_stays_rgb() -> None:
    pixels = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    coded = jpeg(pixels, colorspace="RGB", outcolorspace="RGB")
    found, _ = decode_frame(FrameCoding.JPEG, coded, image(8, 8, samples=3, photometric="RGB"))
    assert np.abs(np.frombuffer(found, np.uint8).astype(int) - pixels.ravel()).max() <= 3


def test_a_jpeg_of_twelve_bits() -> None:
    pixels = np.full((20, 30), 3000, np.uint16)
    found, _ = decode_frame(FrameCoding.JPEG, jpeg(pixels, bitspersample=12), image())
    assert np.abs(np.frombuffer(found, "<u2").astype(int) - 3000).max() <= 8


@pytest.mark.parametrize(
    "coding", [one for one in CODED if one is not FrameCoding.RAW], ids=lambda coding: coding.name
)
@pytest.mark.parametrize("cut", [0, 10, 100, -400])
def test_what_breaks_off_is_refused(coding: FrameCoding, cut: int) -> None:
    coded = CODED[coding](noise(12), 12)
    with pytest.raises(TranscodingError):
        decode_frame(coding, coded[:cut], image())


@pytest.mark.parametrize("coding", CODED, ids=lambda coding: coding.name)
def test_another_size_is_refused(coding: FrameCoding) -> None:
    coded = CODED[coding](noise(12)[:10], 12)
    with pytest.raises(TranscodingError):
        decode_frame(coding, coded, image())


def test_another_coding_is_refused() -> None:
    with pytest.raises(TranscodingError, match="another kind"):
        decode_frame(FrameCoding.JPEG, jpeg_ls(noise(12)), image())
    with pytest.raises(TranscodingError, match="another kind"):
        decode_frame(FrameCoding.JPEG_LS, lossless(noise(12), 12), image())
    with pytest.raises(TranscodingError, match="another kind"):
        decode_frame(FrameCoding.JPEG_LOSSLESS, jpeg(noise(8)), image(8, 8))
    with pytest.raises(TranscodingError, match="not a JPEG 2000"):
        decode_frame(FrameCoding.J2K, jpeg(noise(8)), image(8, 8))


def test_deeper_than_allocated_is_refused() -> None:
    with pytest.raises(TranscodingError, match="deeper"):
        decode_frame(FrameCoding.JPEG_LS, jpeg_ls(noise(12)), image(8, 8))


def test_other_samples_are_refused() -> None:
    with pytest.raises(TranscodingError, match="samples"):
        decode_frame(
            FrameCoding.JPEG,
            jpeg(noise(8)),
            image(8, 8, samples=3, photometric="RGB"),
        )


def test_a_signed_jpeg_xl_is_refused() -> None:
    with pytest.raises(TranscodingError, match="signed"):
        decode_frame(FrameCoding.JPEG_XL, jpeg_xl(noise(16)), image(16, signed=True))


def test_rle_with_other_segments_is_refused() -> None:
    with pytest.raises(TranscodingError, match="segments"):
        decode_frame(FrameCoding.RLE, b"\1" + bytes(99), image())


def test_ambiguous_colours_are_refused() -> None:
    coded = j2k(noise(8, colour=True), 8, mct=False)
    with pytest.raises(TranscodingError, match="ambiguous"):
        decode_frame(FrameCoding.J2K, coded, image(8, 8, samples=3, photometric="YBR_RCT"))
