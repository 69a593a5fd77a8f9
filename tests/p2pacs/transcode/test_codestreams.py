import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import TranscodingError
from p2pacs.transcode.codestreams import read_j2k, read_jpeg
from tests.p2pacs.transcode.samples import htj2k, j2k, jpeg, jpeg_ls, lossless, noise

JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
BASELINE = jpeg(noise(8, colour=True))
J2K_COLOUR = j2k(noise(8, colour=True), 8)


def adobe(transform: int) -> bytes:
    return b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def marked(*segments: bytes) -> bytes:
    """The same JPEG with other markers before it."""
    at = BASELINE.index(b"\xff\xdb")
    return b"\xff\xd8" + b"".join(segments) + BASELINE[at:]


def test_a_jpeg() -> None:
    found = read_jpeg(BASELINE)
    assert (found.rows, found.columns, found.samples, found.bits) == (20, 30, 3, 8)
    assert found.process == 0xFFC0
    assert found.told == {"YCbCr"}


def test_subsampling() -> None:
    assert read_jpeg(jpeg(noise(8, colour=True), subsampling="422")).subsampled
    assert not read_jpeg(jpeg(noise(8, colour=True), subsampling="444")).subsampled


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        ((), set()),
        ((JFIF,), {"YCbCr"}),
        ((adobe(0),), {"RGB"}),
        ((adobe(1),), {"YCbCr"}),
        ((adobe(2),), {"other"}),
        ((JFIF, adobe(0)), {"RGB", "YCbCr"}),
    ],
)
def test_what_markers_tell(segments: tuple[bytes, ...], told: set[str]) -> None:
    assert read_jpeg(marked(*segments)).told == told


def test_names_of_components_tell() -> None:
    named = bytearray(marked())
    at = named.index(b"\xff\xc0") + 10
    named[at], named[at + 3], named[at + 6] = b"RGB"
    assert read_jpeg(bytes(named)).told == {"RGB"}


def test_lossless() -> None:
    found = read_jpeg(lossless(noise(12), 12))
    assert (found.bits, found.samples, found.process, found.plain) == (12, 1, 0xFFC3, True)
    transformed = bytearray(lossless(noise(12), 12))
    transformed[transformed.index(b"\xff\xda") + 9] = 1
    assert not read_jpeg(bytes(transformed)).plain


def test_restarts_are_not_plain() -> None:
    frame = lossless(noise(12), 12)
    assert not read_jpeg(frame[:2] + b"\xff\xdd\0\4\0\x1e" + frame[2:]).plain


def test_jpeg_ls() -> None:
    found = read_jpeg(jpeg_ls(noise(12)))
    assert (found.rows, found.columns, found.bits, found.process) == (20, 30, 16, 0xFFF7)


@pytest.mark.parametrize("cut", [2, 30, 200, 400, -30, -1])
def test_what_breaks_off_is_refused(cut: int) -> None:
    with pytest.raises(TranscodingError, match=r"breaks off|headers"):
        read_jpeg(BASELINE[:cut])


@pytest.mark.parametrize("padding", [b"\0", b"\0\0", b"\xff\0"])
def test_padding_is_none_of_it(padding: bytes) -> None:
    assert read_jpeg(BASELINE + padding).rows == 20


def test_fill_bytes_before_a_marker() -> None:
    assert read_jpeg(b"\xff\xd8\xff\xff" + BASELINE[2:]).rows == 20


@pytest.mark.parametrize("frame", [j2k(noise(12), 12), htj2k(noise(12))])
def test_jpeg_2000(frame: bytes) -> None:
    found = read_j2k(frame)
    assert (found.rows, found.columns, found.samples) == (20, 30, 1)
    assert found.bits in (12, 16)
    assert not found.signed
    assert not found.transformed
    assert read_j2k(frame + b"\0").rows == 20


def test_jpeg_2000_of_signed_values() -> None:
    found = read_j2k(j2k(noise(12, signed=True), 12))
    assert (found.bits, found.signed) == (12, True)


def test_jpeg_2000_of_colours() -> None:
    assert read_j2k(J2K_COLOUR).transformed
    assert not read_j2k(j2k(noise(8, colour=True), 8, mct=False)).transformed


@pytest.mark.parametrize("coded", [J2K_COLOUR, htj2k(noise(12))])
@pytest.mark.parametrize("cut", [3, 20, 60, 200, -40, -3])
def test_jpeg_2000_that_breaks_off_is_refused(coded: bytes, cut: int) -> None:
    with pytest.raises(TranscodingError, match=r"breaks off|headers|not a JPEG"):
        read_j2k(coded[:cut])


def test_components_that_differ_are_refused() -> None:
    frame = bytearray(J2K_COLOUR)
    frame[45] = 11
    with pytest.raises(TranscodingError, match="depth"):
        read_j2k(bytes(frame))
    frame[45:47] = struct.pack(">BB", 7, 2)
    assert read_j2k(bytes(frame)).subsampled


def test_a_tile_with_a_coding_of_its_own_is_refused() -> None:
    at = J2K_COLOUR.index(b"\xff\x90") + 12
    with pytest.raises(TranscodingError, match="tile"):
        read_j2k(J2K_COLOUR[:at] + b"\xff\x52" + J2K_COLOUR[at:])


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for begin in (b"\xff\xd8", b"\xff\x4f\xff\x51\0\x29\0\0", b""):
        for read in (read_jpeg, read_j2k):
            try:
                read(begin + noise)
            except TranscodingError:
                continue
