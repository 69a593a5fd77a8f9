"""Frames coded as HTJ2K: exactly what goes in comes out, with the smallest image first."""

import struct

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import NotAcceptableError, TranscodingError
from p2pacs.transcode.frames import decode_frame
from p2pacs.transcode.htj2k import encode_htj2k
from p2pacs.transcode.image import Image
from p2pacs.transcode.syntaxes import coding_of

PROGRESSIVE = "1.2.840.10008.1.2.4.202"
_SOT = b"\xff\x90"  # begins a tile-part (ISO/IEC 15444-1 A.4.2)
GREY = Image(40, 30, 1, 16, 16, False, "MONOCHROME2", 1)
RGB = Image(40, 30, 3, 8, 8, False, "RGB", 1)


def noise(image: Image, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(image.frame_bytes)


def decoded(coded: bytes, image: Image) -> bytes:
    coding = coding_of(PROGRESSIVE)
    assert coding is not None
    return decode_frame(coding, coded, image)[0]


@given(
    st.builds(
        Image,
        rows=st.integers(1, 70),
        columns=st.integers(1, 70),
        samples=st.sampled_from([1, 3]),
        allocated=st.sampled_from([8, 16]),
        stored=st.just(0),
        signed=st.booleans(),
        photometric=st.just(""),
        frames=st.just(1),
    ),
    st.integers(0, 99),
)
def test_what_goes_in_comes_out(image: Image, seed: int) -> None:
    colour = "RGB" if image.samples > 1 else "MONOCHROME2"
    image = evolve(image, stored=image.allocated, photometric=colour)
    frame = noise(image, seed)
    assert decoded(encode_htj2k(frame, image, planar=False), image) == frame


def test_planes_come_out_as_pixels() -> None:
    frame = noise(RGB)
    planes = np.frombuffer(frame, "u1").reshape(40, 30, 3).transpose(2, 0, 1).tobytes()
    assert decoded(encode_htj2k(planes, RGB, planar=True), RGB) == frame


def test_the_smallest_image_comes_first() -> None:
    image = evolve(GREY, rows=512, columns=512)
    coded = encode_htj2k(noise(image), image, planar=False)
    first = coded.index(_SOT)
    (size,) = struct.unpack_from(">I", coded, first + 6)  # of the tile-part, Psot
    assert coded[first + size :].startswith(_SOT)
    assert first + size < len(coded) / 100
    style = coded.index(b"\xff\x52")
    assert coded[style + 5] == 2  # RPCL (ISO/IEC 15444-1 table A.16)
    assert b"\xff\x55" in coded[:first]  # TLM


@pytest.mark.parametrize(
    "image",
    [
        evolve(GREY, allocated=32),
        evolve(GREY, allocated=1),
        evolve(RGB, samples=4),
        evolve(RGB, photometric="YBR_FULL_422"),
    ],
)
def test_what_htj2k_is_not_made_of(image: Image) -> None:
    with pytest.raises(NotAcceptableError):
        encode_htj2k(bytes(1 << 16), image, planar=False)


def test_a_frame_that_is_too_short() -> None:
    with pytest.raises(TranscodingError):
        encode_htj2k(noise(GREY)[1:], GREY, planar=False)
    with pytest.raises(TranscodingError):
        encode_htj2k(b"", evolve(GREY, rows=0), planar=False)
