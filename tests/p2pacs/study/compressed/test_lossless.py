from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.compressed import JPEG_LOSSLESS
from p2pacs.study.compressed.image_bytes import split_recipe, with_recipe
from p2pacs.study.compressed.lossless import decode_lossless, encode_lossless
from p2pacs.study.images import CodedFrame, Coding, Shape
from p2pacs.study.images.form import FORM_BYTES, read_form
from p2pacs.study.images.frames import FrameCoder
from tests.p2pacs.study.compressed.made import MadeJpeg, jpegs

LARGE = MadeJpeg(rows=90, columns=80, precision=12)
"""Large enough that its recipe does not outweigh what is saved."""


def shape_of(made: MadeJpeg, **other: Any) -> Shape:
    bits = 8 if made.precision <= 8 else 16
    photometric = "MONOCHROME2" if made.components == 1 else "RGB"
    shape = Shape(made.rows, made.columns, made.components, bits, photometric=photometric)
    return evolve(shape, **other)


def coded(made: MadeJpeg, stream: bytes | None = None, **other: Any) -> CodedFrame | None:
    return encode_lossless(
        made.stream() if stream is None else stream,
        shape_of(made, **other),
        FrameCoder(Coding.SMALLEST),
    )


@settings(max_examples=60)
@given(jpegs(side=48), st.booleans())
def test_what_is_coded_comes_back(made: MadeJpeg, signed: bool) -> None:
    stream = made.stream()
    found = coded(made, stream, signed=signed)
    assume(found is not None)  # where it was smaller
    assert found is not None
    assert found.codec == JPEG_LOSSLESS
    assert len(found.coded) < len(stream)
    assert decode_lossless(found.coded, len(stream)) == stream


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("restart_rows", [0, 7])
@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("pad", [0, 1])
def test_all_kinds_get_smaller(
    predictor: int, restart_rows: int, components: int, pad: int
) -> None:
    made = evolve(
        LARGE, predictor=predictor, restart_rows=restart_rows, components=components, pad=pad
    )
    for one in (made, evolve(made, interleaved=False, fill=1, trailer=b"\0")):
        stream = one.stream()
        found = coded(one, stream)
        assert found is not None
        assert decode_lossless(found.coded, len(stream)) == stream


@pytest.mark.parametrize("precision", range(2, 17))
@pytest.mark.parametrize("signed", [False, True])
def test_all_depths_come_back(precision: int, signed: bool) -> None:
    made = evolve(LARGE, rows=150, columns=170, precision=precision)
    stream = made.stream()
    found = coded(made, stream, signed=signed)
    assert found is not None or precision < 8  # of few values the stream is as small
    assert found is None or decode_lossless(found.coded, len(stream)) == stream


def test_the_largest_difference() -> None:
    """32,768 has a category of its own, and no bits that follow (T.81 H.1.2.2)."""
    made = MadeJpeg(rows=64, columns=64, precision=16, content="extremes")
    assert 32768 in {d for part in made._intervals([0]) for d in part}
    stream = made.stream()
    found = coded(made, stream)
    assert found is not None
    assert decode_lossless(found.coded, len(stream)) == stream


def test_its_preview_is_of_the_pixels() -> None:
    found = coded(evolve(LARGE, rows=256, columns=256), window=(2048, 4096))
    assert found is not None
    assert found.preview is not None
    assert read_form(found.preview[1]).rows == 64


def test_what_is_not_made_again_is_left() -> None:
    stream = LARGE.stream()
    assert coded(LARGE, stream) is not None
    assert coded(LARGE, stream[:-2]) is None  # no end
    assert coded(LARGE, stream[:-200] + b"\xff\xd9") is None  # breaks off
    assert coded(LARGE, stream[:-2] + b"\x12\x34\xff\xd9") is None  # after the last bit
    assert coded(LARGE, b"") is None
    assert coded(evolve(LARGE, trailer=bytes(70_000))) is None  # its recipe would be too long
    assert coded(MadeJpeg(rows=3, columns=3)) is None  # nothing is gained


def hostile(whole: bytes) -> list[tuple[str, bytes]]:
    recipe, image, flags = split_recipe(whole)
    form = read_form(image)
    other = evolve(form, rows=form.columns, columns=form.rows).pack() + image[FORM_BYTES:]
    return [
        ("shorter than its header", whole[:4]),
        ("shorter than its recipe", whole[:20]),
        ("shorter than its recipe", whole[:1] + b"\xff\xff\xff\xff" + whole[5:]),
        ("unknown form", with_recipe(2, recipe, image)),
        ("another image", with_recipe(flags, recipe, other)),
        ("shorter than its header", with_recipe(flags, recipe, b"")),
        ("not a JPEG", with_recipe(flags, b"", image)),
        ("other than was coded|damaged|truncated", with_recipe(flags, recipe, image[:-9])),
        ("no marker", with_recipe(flags, recipe[:-2] * 9 + recipe, image)),
        ("length", with_recipe(flags, recipe + b"more", image)),
    ]


def test_what_lies_is_refused() -> None:
    stream = LARGE.stream()
    found = coded(LARGE, stream)
    assert found is not None
    for why, lie in hostile(found.coded):
        with pytest.raises(CodingError, match=why):
            decode_lossless(lie, len(stream))
    for size in (0, 1, len(stream) - 1, len(stream) + 1, 1 << 40):
        with pytest.raises(CodingError):
            decode_lossless(found.coded, size)


def test_a_scan_twice_does_not_expand() -> None:
    """A recipe whose scans code the same samples again and again."""
    stream = LARGE.stream()
    found = coded(LARGE, stream)
    assert found is not None
    recipe, image, flags = split_recipe(found.coded)
    at = recipe.index(b"\xff\xda")
    often = recipe[:at] + recipe[at:-2] * 100 + recipe[-2:]
    with pytest.raises(CodingError):
        decode_lossless(with_recipe(flags, often, image), 100 * len(stream))


def test_a_code_of_sixteen_bits_for_all_does_not_expand() -> None:
    """The longest that pixels can become is known, and is not made beyond what is declared."""
    made = evolve(LARGE, content="constant")
    stream = made.stream()
    found = coded(made, stream)
    assert found is not None
    recipe, image, flags = split_recipe(found.coded)
    at = recipe.index(b"\xff\xc4") + 5
    codes = sum(recipe[at : at + 16])
    longer = recipe[:at] + bytes(15) + bytes([codes]) + recipe[at + 16 :]
    with pytest.raises(CodingError, match="longer"):
        decode_lossless(with_recipe(flags, longer, image), len(stream))


@settings(max_examples=150)
@given(st.data())
def test_damage_is_refused_or_of_the_declared_length(data: st.DataObject) -> None:
    stream = LARGE.stream()
    found = coded(LARGE, stream)
    assert found is not None
    recipe, image, flags = split_recipe(found.coded)
    damaged = bytearray(recipe)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CodingError):
        made = decode_lossless(with_recipe(flags, bytes(damaged), image), len(stream))
        assert len(made) == len(stream)
