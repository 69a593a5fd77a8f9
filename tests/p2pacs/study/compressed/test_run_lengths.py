from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.compressed import RLE
from p2pacs.study.compressed.image_bytes import split_recipe, with_recipe
from p2pacs.study.compressed.packbits import PackRule, pack_rows
from p2pacs.study.compressed.run_lengths import (
    _planes,
    decode_run_lengths,
    encode_run_lengths,
)
from p2pacs.study.images import CodedFrame, Coding, Shape
from p2pacs.study.images.form import read_form
from p2pacs.study.images.frames import FrameCoder
from tests.p2pacs.study.images.made import CONTENTS, frame

LARGE = Shape(90, 80, 1, 16)


def packed(shape: Shape, rule: PackRule, content: str = "smooth") -> bytes:
    """A frame, its segments padded to even lengths."""
    native = frame(shape, content)
    planes = _planes(native, shape.rows, shape.columns, shape.samples, shape.bits)
    body, offsets = b"", []
    for plane in planes:
        offsets.append(64 + len(body))
        body += pack_rows(plane, rule)
        body += bytes(len(body) % 2)
    header = [len(planes), *offsets]
    return struct.pack("<16I", *header, *[0] * (16 - len(header))) + body


def coded(stream: bytes, shape: Shape = LARGE, **other: Any) -> CodedFrame | None:
    return encode_run_lengths(stream, evolve(shape, **other), FrameCoder(Coding.SMALLEST))


@settings(max_examples=60)
@given(
    st.builds(
        Shape,
        st.integers(1, 90),
        st.integers(1, 90),
        st.sampled_from([1, 3]),
        st.sampled_from([8, 16]),
        signed=st.booleans(),
    ),
    st.sampled_from(list(PackRule)),
    st.sampled_from(CONTENTS),
)
def test_what_is_coded_comes_back(shape: Shape, rule: PackRule, content: str) -> None:
    stream = packed(shape, rule, content)
    found = coded(stream, shape)
    assume(found is not None)
    assert found is not None
    assert found.codec == RLE
    assert len(found.coded) < len(stream)
    assert decode_run_lengths(found.coded, len(stream)) == stream


@pytest.mark.parametrize("rule", list(PackRule))
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("samples", [1, 3])
def test_every_rule_gets_smaller(rule: PackRule, bits: int, samples: int) -> None:
    shape = Shape(90, 80, samples, bits, photometric="RGB" if samples == 3 else "MONOCHROME2")
    stream = packed(shape, rule)
    for other in (shape, evolve(shape, planar=samples == 3), evolve(shape, big_endian=True)):
        found = coded(stream, other)
        assert found is not None
        assert decode_run_lengths(found.coded, len(stream)) == stream


def test_its_preview_is_of_the_pixels() -> None:
    shape = Shape(256, 256, 1, 16, window=(32768, 65536))
    found = coded(packed(shape, PackRule.DCMTK), shape)
    assert found is not None
    assert found.preview is not None
    assert read_form(found.preview[1]).rows == 64


def test_what_is_not_made_again_is_left() -> None:
    stream = packed(LARGE, PackRule.DCMTK)
    assert coded(stream) is not None
    assert coded(stream[:-400]) is None
    assert coded(b"") is None
    assert coded(stream[:64]) is None
    assert coded(stream, rows=91) is None
    assert coded(stream, bits=8) is None
    assert coded(stream, bits=32) is None
    assert coded(stream, rows=65535, columns=65535) is None
    literals = bytearray(stream)
    at = 64 + stream[64:].index(b"\xfe")  # three equal bytes, now as two packets
    literals[at : at + 2] = bytes((0xFF, stream[at + 1], 0, stream[at + 1]))
    assert coded(bytes(literals)) is None
    assert coded(stream + bytes(70_000)) is None  # its recipe would be too long


def test_what_lies_is_refused() -> None:
    stream = packed(LARGE, PackRule.GDCM)
    found = coded(stream)
    assert found is not None
    recipe, image, rule = split_recipe(found.coded)
    head = list(struct.unpack("<16I", recipe[:64]))

    def with_head(*changed: int) -> bytes:
        return struct.pack("<16I", *changed, *head[len(changed) :]) + recipe[64:]

    for why, lie in [
        ("shorter than its header", found.coded[:4]),
        ("unknown form", with_recipe(3, recipe, image)),
        ("another length|no room", with_recipe(PackRule.DCMTK, recipe, image)),
        ("too many segments", with_recipe(rule, with_head(3), image)),
        ("too many segments", with_recipe(rule, with_head(0), image)),
        ("not in order", with_recipe(rule, with_head(2, 5), image)),
        ("not in order", with_recipe(rule, with_head(2, 64, 64), image)),
        ("no room", with_recipe(rule, with_head(2, 64, 1 << 31), image)),
        ("no room", with_recipe(rule, with_head(2, 64, 70), image)),
        ("shorter than its header", with_recipe(rule, recipe[:60], image)),
        ("length", with_recipe(rule, recipe + b"more", image)),
    ]:
        with pytest.raises(CodingError, match=why):
            decode_run_lengths(lie, len(stream))
    for size in (0, len(stream) - 1, len(stream) + 1, 1 << 40):
        with pytest.raises(CodingError):
            decode_run_lengths(found.coded, size)


@settings(max_examples=100)
@given(st.data())
def test_damage_is_refused_or_of_the_declared_length(data: st.DataObject) -> None:
    stream = packed(LARGE, PackRule.PYDICOM)
    found = coded(stream)
    assert found is not None
    damaged = bytearray(found.coded)
    at = data.draw(st.integers(0, 90))
    damaged[at] = data.draw(st.integers(0, 255))
    with suppress(CodingError):
        assert len(decode_run_lengths(bytes(damaged), len(stream))) == len(stream)
