"""Pictures against DCMTK's of pydicom's files, and what they must be like."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from p2pacs.dataset.header import read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, NotAcceptableError, TranscodingError
from p2pacs.rendering.options import PNG, RenderedViewport, RenderOptions, VoiFunction, VoiWindow
from p2pacs.rendering.render import FrameInput, decode_native, render
from tests.components import dcmtk
from tests.p2pacs.dataset.test_pixel_data import FOLDER, frames_of
from tests.p2pacs.study.samples import IMPLICIT, instance


def given_of(one: EncodedInstance, number: int = 1) -> FrameInput:
    header = read_header(one.data, one.transfer_syntax_uid)
    assert header is not None
    frame = frames_of(one)[number - 1]
    header_bytes = one.data[: header.pixels_at]
    return FrameInput(frame, header_bytes, one.transfer_syntax_uid, number)


def drawn(one: EncodedInstance, number: int = 1, **options: Any) -> NDArray[np.uint8]:
    said = RenderOptions(**{"media_type": PNG, **options})
    return np.asarray(Image.open(io.BytesIO(render(given_of(one, number), said))))


NATIVE = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm" if (FOLDER / "MR_small_implicit.dcm").exists() else "MR_small.dcm",
    "SC_rgb.dcm",
    "SC_rgb_expb.dcm",
    "examples_palette.dcm",
    "examples_overlay.dcm",
    "mlut_18.dcm",
    "vlut_04.dcm",
    "SC_ybr_full_uncompressed.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "ExplVR_BigEnd.dcm",
    "rtdose_1frame.dcm",
)


def by_dcmtk(path: Path, folder: Path, *options: str) -> NDArray[np.uint8]:
    out = folder / "picture.png"
    dcmtk("dcm2pnm", "--write-png", *options, str(path), str(out))
    return np.asarray(Image.open(out))


@pytest.mark.dcmtk
@pytest.mark.parametrize("name", [name for name in NATIVE if (FOLDER / name).exists()])
def test_pictures_are_as_dcmtk_draws_them(tmp_path: Path, name: str) -> None:
    one = EncodedInstance.from_part10((FOLDER / name).read_bytes())
    dataset = pydicom.dcmread(FOLDER / name)
    options = ["--use-window", "1"] if "WindowCenter" in dataset else ["--min-max-window"]
    if "VOILUTSequence" in dataset:
        options = ["--use-voi-lut", "1"]
    theirs = by_dcmtk(FOLDER / name, tmp_path, "--no-overlays", *options)
    ours = drawn(one)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2


def smooth(**extra: Any) -> EncodedInstance:
    """Values 0 to 4095 from left to right."""
    row = np.arange(64, dtype="<u2") * 65
    pixels = np.tile(row, (64, 1)).tobytes()
    return instance(1, PixelData=pixels, **extra)


def test_windows() -> None:
    one = smooth(WindowCenter="2048", WindowWidth="4096", RescaleSlope="2", RescaleIntercept="-5")
    values = 2.0 * np.arange(64) * 65 - 5
    expected = np.clip(((values - 2047.5) / 4095 + 0.5) * 255, 0, 255)
    assert np.abs(drawn(one)[0] - expected).max() <= 0.51
    asked = drawn(one, window=VoiWindow(100, 1))[0]
    assert set(asked) == {0, 255}
    exact = drawn(one, window=VoiWindow(4000, 2000, VoiFunction.LINEAR_EXACT))[9]
    assert np.abs(exact - np.clip((values - 4000) / 2000 + 0.5, 0, 1) * 255).max() <= 0.51
    curve = drawn(one, window=VoiWindow(4000, 2000, VoiFunction.SIGMOID))[9]
    assert np.abs(curve - 255 / (1 + np.exp(-4 * (values - 4000) / 2000))).max() <= 0.51


def test_the_lowest_value_is_white_where_the_image_says_so() -> None:
    plain = drawn(smooth())
    assert (plain[0, 0], plain[0, -1]) == (0, 255)
    assert (drawn(smooth(PhotometricInterpretation="MONOCHROME1")) == 255 - plain).all()
    assert (drawn(smooth(PresentationLUTShape="INVERSE")) == 255 - plain).all()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT])
def test_padding_widens_no_window(syntax: str) -> None:
    pixels = np.full((64, 64), 100, "<i2")
    pixels[:, 32:] = 300
    pixels[:9] = -2000
    one = instance(
        1,
        syntax=syntax,
        PixelRepresentation=1,
        BitsStored=16,
        HighBit=15,
        PixelData=pixels.tobytes(),
        PixelPaddingValue=-2000,
    )
    shown = drawn(one)
    assert (shown[20, 0], shown[20, 63], shown[0, 0]) == (0, 255, 0)


def test_what_bits_above_hold_is_not_seen() -> None:
    row = (np.arange(64, dtype="<u2") * 65) | 0xF000
    one = instance(1, PixelData=np.tile(row, (64, 1)).tobytes())
    assert (drawn(one) == drawn(smooth())).all()


def test_viewports() -> None:
    one = smooth()
    whole = drawn(one)
    assert drawn(one, viewport=RenderedViewport(32, 100)).shape == (32, 32)
    assert drawn(one, viewport=RenderedViewport(128, 256)).shape == (128, 128)
    part = drawn(one, viewport=RenderedViewport(16, 64, 16, 0, 16, 64))
    assert (part == whole[:, 16:32]).all()
    flipped = drawn(one, viewport=RenderedViewport(64, 64, 0, 0, -64, 64))
    assert (flipped == whole[:, ::-1]).all()
    upside = drawn(one, viewport=RenderedViewport(64, 64, 0, 0, 64, -64))
    assert (upside == whole[::-1]).all()
    assert drawn(one, viewport=RenderedViewport(9, 9, 500, 500)).size >= 1  # beyond: the last pixel


def test_jpeg() -> None:
    picture = Image.open(io.BytesIO(render(given_of(smooth()), RenderOptions())))
    assert (picture.format, picture.size) == ("JPEG", (64, 64))


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({"BitsStored": 20}, BrokenInstanceError),
        ({"HighBit": 3}, BrokenInstanceError),
        ({"SamplesPerPixel": 2}, NotAcceptableError),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "ARGB"}, NotAcceptableError),
    ],
)
def test_what_cannot_be_drawn_is_told(extra: dict[str, Any], error: type[Exception]) -> None:
    bad = instance(1, PixelData=bytes(64 * 64 * 6), **extra)
    header = read_header(bad.data, bad.transfer_syntax_uid)
    assert header is not None
    made = FrameInput(bytes(64 * 64 * 6), bad.data[: header.pixels_at], bad.transfer_syntax_uid, 1)
    with pytest.raises(error):
        render(made, RenderOptions())


def test_a_frame_that_is_too_short_is_told() -> None:
    good = given_of(smooth())
    with pytest.raises(BrokenInstanceError):
        render(evolve(good, frame=good.frame[:99]), RenderOptions())


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_whatever_a_header_is_it_is_an_answer(noise: bytes, at: int) -> None:
    good = given_of(smooth(WindowCenter="1\\\\2", WindowWidth="3\\\\4", PixelPaddingValue=3))
    at %= len(good.header)
    header = good.header[:at] + noise + good.header[at + len(noise) :]
    with suppress(BrokenInstanceError, NotAcceptableError):
        assert render(evolve(good, header=header), RenderOptions())


def test_each_frame_has_a_window_of_its_own() -> None:
    one = smooth()
    dataset = pydicom.dcmread(io.BytesIO(one.part10()))
    group = pydicom.Dataset()
    voi, rescale = pydicom.Dataset(), pydicom.Dataset()
    voi.WindowCenter, voi.WindowWidth = 10, 1
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, 5
    group.FrameVOILUTSequence = [voi]
    shared = pydicom.Dataset()
    shared.PixelValueTransformationSequence = [rescale]
    dataset.PerFrameFunctionalGroupsSequence = [group]
    dataset.SharedFunctionalGroupsSequence = [shared]
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    shown = drawn(EncodedInstance.from_part10(out.getvalue()))[0]
    assert list(shown[:3]) == [0, 255, 255]  # 5 and 70, where 10 is the middle


# ---------------------------------------------------------------- compressed

GREY = ("JPEG2000.dcm", "MR_small_RLE.dcm", "rtdose_rle_1frame.dcm")
COLOUR = ("SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_jpeg_dcmtk.dcm")


def of_file(name: str) -> EncodedInstance:
    return EncodedInstance.from_part10((FOLDER / name).read_bytes())


@pytest.mark.parametrize("name", [*GREY, *COLOUR])
def test_compressed_frames_decode_to_what_pydicom_decodes(name: str) -> None:
    one = of_file(name)
    dataset = pydicom.dcmread(FOLDER / name)
    if dataset.PhotometricInterpretation.startswith("YBR"):
        with pytest.raises(NotAcceptableError, match="colours"):
            decode_native(given_of(one))
        return
    assert_decodes_to(dataset, one)


def assert_decodes_to(dataset: pydicom.Dataset, one: EncodedInstance) -> None:
    pixels = dataset.pixel_array.reshape((int(dataset.get("NumberOfFrames") or 1), -1))
    for number, frame in enumerate(pixels, 1):
        found = decode_native(given_of(one, number))
        assert found == frame.astype(frame.dtype.newbyteorder("<")).tobytes()


@pytest.mark.dcmtk
@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "JPEGLSNearLossless_16.dcm"])
def test_jpeg_ls_decodes_to_what_dcmtk_decodes(tmp_path: Path, name: str) -> None:
    native = tmp_path / "native.dcm"
    dcmtk("dcmdjpls", str(FOLDER / name), str(native))
    assert_decodes_to(pydicom.dcmread(native), of_file(name))


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_ybr_color.dcm"]
)
def test_compressed_pictures_are_as_dcmtk_draws_them(tmp_path: Path, name: str) -> None:
    one = of_file(name)
    window = "WindowCenter" in pydicom.dcmread(FOLDER / name)
    out = tmp_path / "picture.png"
    way = ["--use-window", "1"] if window else ["--min-max-window"]
    dcmtk("dcmj2pnm", "--write-png", "--no-overlays", *way, str(FOLDER / name), str(out))
    theirs = np.asarray(Image.open(out)).astype(int)
    ours = drawn(one).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= (2 if ours.ndim == 2 else 6)  # another inverse DCT


def test_a_broken_frame_is_told() -> None:
    good = given_of(of_file("JPEG2000.dcm"))
    with pytest.raises(TranscodingError):
        render(evolve(good, frame=good.frame[:99]), RenderOptions())
