import zlib
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from pydicom.dataset import Dataset

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import TranscodingError
from p2pacs.transcode.syntaxes import name_of
from p2pacs.transcode.transcoding import transcode, transcoded_bytes
from tests.odd import ODD_BYTES
from tests.p2pacs.transcode import samples
from tests.p2pacs.transcode.samples import (
    BIG_ENDIAN,
    DEFLATED,
    DEFLATED_FRAMES,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    J2K,
    JPEG,
    JPEG_IN_XL,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    MPEG,
    RAW_FRAMES,
    coloured,
    encapsulated,
    encoded,
    grey,
    noise,
    of_pydicom,
    read,
)

PIXELS = {"PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"}


def frames_of(coding: str, count: int) -> tuple[list[bytes], bytes]:
    """Coded frames, and what they are."""
    images = [noise(12, seed=seed) for seed in range(count)]
    encode: dict[str, samples.Codec] = {
        JPEG_LOSSLESS: lambda one: samples.lossless(one, 12),
        JPEG_LS: samples.jpeg_ls,
        J2K: lambda one: samples.j2k(one, 12),
        HTJ2K: samples.htj2k,
        JPEG_XL: samples.jpeg_xl,
        RAW_FRAMES: lambda one: bytes(one.tobytes()),
        DEFLATED_FRAMES: lambda one: zlib.compress(one.tobytes(), wbits=-15),
    }
    return [encode[coding](one) for one in images], b"".join(one.tobytes() for one in images)


def without_pixels(dataset: Dataset) -> Dataset:
    left = Dataset(dataset)
    for keyword in PIXELS & set(left.dir()):
        delattr(left, keyword)
    return left


@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "coding", [JPEG_LOSSLESS, JPEG_LS, J2K, HTJ2K, JPEG_XL, RAW_FRAMES, DEFLATED_FRAMES]
)
def test_every_coding(coding: str, count: int, extended: bool, target: str) -> None:
    frames, plain = frames_of(coding, count)
    dataset = grey(NumberOfFrames=count, LossyImageCompression="01")
    instance = encapsulated(dataset, coding, frames, extended=extended)
    found = transcode(instance, target)
    assert found.transfer_syntax_uid == target
    assert found.sop_instance_uid == instance.sop_instance_uid
    after = read(found)
    assert after.PixelData == plain
    assert after["PixelData"].VR == "OW"
    assert without_pixels(after) == without_pixels(read(instance))
    assert transcoded_bytes(instance) >= len(found.data)


def test_a_jpeg_in_a_jpeg_xl() -> None:
    import imagecodecs  # noqa: PLC0415 - the test alone

    coded = samples.jpeg(noise(8, colour=True))
    dataset = coloured("YBR_FULL_422")
    direct = transcode(encapsulated(dataset, JPEG, [coded]), EXPLICIT)
    packed = bytes(imagecodecs.jpegxl_encode_jpeg(coded))
    assert transcode(encapsulated(dataset, JPEG_IN_XL, [packed]), EXPLICIT) == direct
    assert read(direct).PhotometricInterpretation == "RGB"


def test_an_odd_frame_is_padded() -> None:
    pixels = noise(8)[:3, :3]
    dataset = grey(8, 8, Rows=3, Columns=3)
    found = transcode(encapsulated(dataset, JPEG_LS, [samples.jpeg_ls(pixels)]), EXPLICIT)
    assert read(found).PixelData == pixels.tobytes() + b"\0"
    assert read(found)["PixelData"].VR == "OB"


def test_planes_become_pixels() -> None:
    pixels = noise(8, colour=True)
    coded = [samples.lossless(pixels, 8)]
    dataset = coloured(PlanarConfiguration=1)
    found = read(transcode(encapsulated(dataset, JPEG_LOSSLESS, coded), EXPLICIT))
    assert found.PlanarConfiguration == 0
    assert found.PixelData == pixels.tobytes()
    del dataset.PlanarConfiguration
    found = read(transcode(encapsulated(dataset, JPEG_LOSSLESS, coded), IMPLICIT))
    assert found.PlanarConfiguration == 0


def test_raw_frames_keep_their_planes() -> None:
    pixels = noise(8, colour=True).tobytes()
    dataset = coloured(PlanarConfiguration=1)
    found = read(transcode(encapsulated(dataset, RAW_FRAMES, [pixels]), EXPLICIT))
    assert found.PlanarConfiguration == 1
    assert found.PixelData == pixels


@pytest.mark.parametrize("big", [BIG_ENDIAN, IMPLICIT])
def test_native_pixel_data(big: str) -> None:
    pixels = noise(12)
    dataset = grey(SmallestImagePixelValue=300)
    dataset["SmallestImagePixelValue"].VR = "US"
    dataset.PixelData = pixels.astype(">u2" if big == BIG_ENDIAN else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    found = read(transcode(encoded(dataset, big), EXPLICIT))
    assert found.PixelData == pixels.tobytes()
    assert found.SmallestImagePixelValue == 300


def test_a_deflated_data_set() -> None:
    dataset = grey()
    dataset.PixelData = noise(12).tobytes()
    dataset["PixelData"].VR = "OW"
    plain = encoded(dataset, EXPLICIT)
    instance = evolve(
        plain, transfer_syntax_uid=DEFLATED, data=zlib.compress(plain.data, wbits=-15)
    )
    assert transcode(instance, EXPLICIT) == plain
    assert transcode(instance, IMPLICIT) == transcode(plain, IMPLICIT)
    with pytest.raises(TranscodingError, match="breaks off"):
        transcode(evolve(instance, data=instance.data[:-9]), EXPLICIT)
    with pytest.raises(TranscodingError, match="not deflated"):
        transcode(evolve(instance, data=b"\xff" * 99), EXPLICIT)


def test_a_deflated_bomb_is_refused() -> None:
    plain = encoded(grey(Rows=1, Columns=1), EXPLICIT)
    bomb = zlib.compress(plain.data + b"\x09\0\x10\x10OB\0\0\0\0\0\4" + bytes(1 << 26), wbits=-15)
    instance = evolve(plain, transfer_syntax_uid=DEFLATED, data=bomb)
    with pytest.raises(TranscodingError, match="larger than its image"):
        transcode(instance, EXPLICIT)


def test_icons_are_decoded_too() -> None:
    pixels, small = noise(12), noise(8)[:4, :4]
    icon = grey(8, 8, Rows=4, Columns=4)
    del icon.SOPClassUID, icon.SOPInstanceUID
    dataset = grey(IconImageSequence=[icon])
    for native in (False, True):
        if native:
            icon.PixelData = small.tobytes()
            icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", False
        else:
            inner = grey(8, 8, Rows=4, Columns=4)
            encapsulated(inner, JPEG_LS, [samples.jpeg_ls(small)])
            icon["PixelData"] = inner["PixelData"]
        instance = encapsulated(dataset, JPEG_LS, [samples.jpeg_ls(pixels)])
        for target in (EXPLICIT, IMPLICIT):
            found = read(transcode(instance, target))
            assert found.PixelData == pixels.tobytes()
            assert found.IconImageSequence[0].PixelData == small.tobytes()


def test_what_has_no_pixels_is_only_rewritten() -> None:
    instance = of_pydicom("UN_sequence.dcm")
    found = transcode(instance, EXPLICIT)
    assert found.data == instance.data
    assert found.transfer_syntax_uid == EXPLICIT


def test_what_is_in_that_syntax_already_is_itself() -> None:
    instance = of_pydicom("MR_truncated.dcm")
    assert transcode(instance, EXPLICIT) is instance


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        (EncodedInstance("1.2", "1.3", MPEG, b""), "cannot be decoded here"),
        (encapsulated(grey(), JPEG_LS, [b"no frame"]), "not a JPEG"),
        (encapsulated(grey(NumberOfFrames=2), JPEG_LS, frames_of(JPEG_LS, 3)[0]), "more frames"),
        (encapsulated(grey(NumberOfFrames=4), JPEG_LS, frames_of(JPEG_LS, 3)[0]), "frames"),
        (encapsulated(grey(BitsAllocated=1), JPEG_LS, [b"no frame"]), "bits"),
        (of_pydicom("rtdose_expb.dcm"), "longer than words"),
        (of_pydicom("rtplan_truncated.dcm"), "breaks off"),
        (of_pydicom("JPEG2000-embedded-sequence-delimiter.dcm"), "other rows"),
    ],
)
@ODD_BYTES
def test_what_cannot_be_converted_is_refused(instance: EncodedInstance, why: str) -> None:
    with pytest.raises(TranscodingError, match=why) as refused:
        transcode(instance, EXPLICIT)
    assert str(refused.value).startswith(f"{name_of(instance.transfer_syntax_uid)}: ")
    assert "Somebody" not in str(refused.value)


def test_nothing_is_compressed() -> None:
    with pytest.raises(TranscodingError, match="nothing is converted to JPEG"):
        transcode(encoded(grey(), EXPLICIT), JPEG)


def test_compressed_pixels_that_do_not_say_so_are_refused() -> None:
    instance = encapsulated(grey(), JPEG_LS, frames_of(JPEG_LS, 1)[0])
    with pytest.raises(TranscodingError, match="does not say"):
        transcode(evolve(instance, transfer_syntax_uid=EXPLICIT), IMPLICIT)


def test_native_pixels_that_are_said_to_be_compressed_are_refused() -> None:
    dataset = grey()
    dataset.PixelData = noise(12).tobytes()
    dataset["PixelData"].VR = "OW"
    instance = evolve(encoded(dataset, EXPLICIT), transfer_syntax_uid=JPEG_LS)
    with pytest.raises(TranscodingError, match="not encapsulated"):
        transcode(instance, EXPLICIT)


def test_frames_whose_colours_differ_are_refused() -> None:
    pixels: Any = noise(8, colour=True)
    frames = [samples.j2k(pixels, 8), samples.j2k(pixels, 8, mct=False)]
    dataset = coloured("YBR_FULL", NumberOfFrames=2)
    with pytest.raises(TranscodingError, match="ambiguous"):
        transcode(encapsulated(dataset, J2K, frames), EXPLICIT)


@pytest.mark.parametrize("at", range(0, 4000, 37))
def test_flipped_bytes_are_refused_or_decoded(at: int) -> None:
    instance = encapsulated(grey(), J2K, frames_of(J2K, 1)[0])
    data = bytearray(instance.data)
    data[at % len(data)] ^= 0x55
    try:
        found = transcode(evolve(instance, data=bytes(data)), EXPLICIT)
    except TranscodingError:
        return
    assert isinstance(found.data, bytes)


@ODD_BYTES
def test_the_room_for_a_result_is_bounded() -> None:
    dataset = grey(Rows=65535, Columns=65535, NumberOfFrames=9999)
    assert transcoded_bytes(encapsulated(dataset, JPEG_LS, [b"no frame"])) == 1 << 30
    assert transcoded_bytes(EncodedInstance("1.2", "1.3", JPEG_LS, b"nonsense")) > 0
    assert transcoded_bytes(EncodedInstance("1.2", "1.3", IMPLICIT, bytes(100))) == 150


def test_signed_values_come_back() -> None:
    pixels = noise(12, signed=True)
    coded = samples.lossless(pixels.view(np.uint16) & 0x0FFF, 12)
    found = read(transcode(encapsulated(grey(signed=True), JPEG_LOSSLESS, [coded]), EXPLICIT))
    assert found.PixelData == pixels.tobytes()
