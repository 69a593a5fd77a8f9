import struct

import pytest

from p2pacs.errors import TranscodingError
from p2pacs.transcode.jp2 import codestream
from tests.p2pacs.transcode.samples import j2k, noise

STREAM = j2k(noise(8, colour=True), 8)
GREY = j2k(noise(8), 8)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2(stream: bytes, *header: bytes) -> bytes:
    return (
        box(b"jP  ", b"\r\n\x87\n")
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + box(b"jp2h", box(b"ihdr", bytes(14)) + b"".join(header))
        + box(b"jp2c", stream)
    )


def space(number: int) -> bytes:
    return box(b"colr", b"\1\0\0" + struct.pack(">I", number))


def profile(colours: bytes) -> bytes:
    return box(b"colr", b"\2\0\0" + bytes(16) + colours + bytes(100))


def test_a_codestream_is_itself() -> None:
    assert codestream(STREAM, 3) == STREAM


@pytest.mark.parametrize("header", [space(16), profile(b"RGB ")])
def test_what_is_wrapped_is_found(header: bytes) -> None:
    assert codestream(jp2(STREAM, header), 3) == STREAM
    assert codestream(jp2(STREAM, header) + b"\0", 3) == STREAM


@pytest.mark.parametrize("header", [space(17), profile(b"GRAY")])
def test_grey(header: bytes) -> None:
    assert codestream(jp2(GREY, header), 1) == GREY


def test_a_box_up_to_the_end() -> None:
    whole = jp2(STREAM, space(16))
    at = whole.index(b"jp2c") - 4
    assert codestream(whole[:at] + bytes(4) + whole[at + 4 :], 3) == STREAM
    long = struct.pack(">I4sQ", 1, b"jp2c", 16 + len(STREAM)) + STREAM
    assert codestream(whole[:at] + long, 3) == STREAM


@pytest.mark.parametrize(
    "header",
    [
        (space(18),),
        (space(17),),
        (profile(b"CMYK"),),
        (),
        (space(16), box(b"cdef", bytes(20))),
        (space(16), box(b"pclr", bytes(20))),
        (space(16), space(18)),
    ],
)
def test_other_colours_are_refused(header: tuple[bytes, ...]) -> None:
    with pytest.raises(TranscodingError, match="ambiguous"):
        codestream(jp2(STREAM, *header), 3)


@pytest.mark.parametrize("cut", [13, 40, 100, -10])
def test_what_breaks_off_is_refused(cut: int) -> None:
    with pytest.raises(TranscodingError):
        codestream(jp2(STREAM, space(16))[:cut], 3)
