from __future__ import annotations

from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.compressed.image_bytes import reversible_bytes
from p2pacs.study.compressed.reversible import decode_reversible, encode_reversible
from tests.p2pacs.study.images.made import values


def jpeg(samples: int = 3, level: int = 85, side: int = 300, subsampling: str = "420") -> bytes:
    pixels = values((side, side + 5, samples), 8, "smooth", 1).astype(np.uint8)
    shown = pixels if samples == 3 else pixels[..., 0]
    return bytes(imagecodecs.jpeg8_encode(shown, level=level, subsampling=subsampling))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("subsampling", ["420", "422", "444"])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\xff\xff", b"anything"])
def test_what_is_coded_comes_back(samples: int, subsampling: str, tail: bytes) -> None:
    stream = jpeg(samples, subsampling=subsampling) + tail
    coded = encode_reversible(stream)
    assert coded is not None
    assert len(coded) < len(stream)
    assert decode_reversible(coded, len(stream)) == stream
    assert reversible_bytes(coded) == 300 * 305 * 3


def test_markers_stay() -> None:
    stream = jpeg()
    comment = b"\xff\xfe\0\x0bsomething"
    marked = stream[:2] + comment + stream[2:]
    coded = encode_reversible(marked)
    assert coded is not None
    assert decode_reversible(coded, len(marked)) == marked


def test_what_is_not_one_is_left() -> None:
    assert encode_reversible(b"") is None
    assert encode_reversible(b"\xff\xd8\xff\xd9") is None
    assert encode_reversible(jpeg()[:-300]) is None
    lossless = imagecodecs.jpeg8_encode(np.zeros((64, 64), np.uint8), lossless=True)
    assert encode_reversible(bytes(lossless)) is None


def test_what_lies_is_refused() -> None:
    stream = jpeg()
    coded = encode_reversible(stream)
    assert coded is not None
    for size in (0, 1, len(stream) - 1, len(stream) + 1):
        with pytest.raises(CodingError):
            decode_reversible(coded, size)
    for length in range(0, len(coded), 641):
        with pytest.raises(CodingError):
            decode_reversible(coded[:length], len(stream))
    for junk in (coded[12:], coded[:12] + b"\0\0\0\1jxlc" + coded[12:], b"\xff\x0a" + coded):
        with pytest.raises(CodingError):
            decode_reversible(junk, len(stream))


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    size = (3 << 1 | 99_999 << 3 | 1 << 33).to_bytes(6, "little")  # 100,000 x 100,000
    claims = b"\xff\x0a" + size + bytes(100)
    box = (8 + len(claims)).to_bytes(4, "big") + b"jxlc" + claims
    with pytest.raises(CodingError, match="larger image"):
        decode_reversible(b"\0\0\0\x0cJXL \r\n\x87\n" + box, 1000)


@settings(max_examples=40)
@given(st.data())
def test_damage_is_refused_or_of_the_declared_length(data: st.DataObject) -> None:
    stream = jpeg(side=200)
    coded = encode_reversible(stream)
    assert coded is not None
    damaged = bytearray(coded)
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(CodingError):
        assert len(decode_reversible(bytes(damaged), len(stream))) == len(stream)
