import imagecodecs
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images import Shape
from p2pacs.study.images.form import Form
from p2pacs.study.images.htj2k import coarsest, decode, decode_beginning, encode
from p2pacs.study.images.samples import Pixels, levelled
from tests.p2pacs.study.images.made import CONTENTS, frame, shapes


def image(shape: Shape, content: str = "smooth", seed: int = 1) -> tuple[Pixels, Form]:
    return levelled(frame(shape, content, seed), shape)


@settings(max_examples=300)
@given(shapes(150), st.sampled_from(CONTENTS), st.integers(0, 99))
def test_every_image_comes_back_and_so_does_each_level(
    shape: Shape, content: str, seed: int
) -> None:
    pixels, form = image(shape, content, seed)
    parts = encode(pixels)
    levels = [level for level, _ in parts]
    assert levels == list(range(coarsest(shape.rows, shape.columns), -1, -1))
    stream = b"".join(part for _, part in parts)
    found = decode(stream, form)
    assert found.dtype == pixels.dtype
    assert (found == pixels).all()
    prefix = b""
    for level, part in parts:
        prefix += part
        smaller = decode_beginning(prefix, form)
        assert smaller.shape[:2] == (-(-shape.rows >> level), -(-shape.columns >> level))
        assert (smaller == imagecodecs.htj2k_decode(stream, skipres=level)).all()


@pytest.mark.parametrize(("rows", "columns"), [(1, 65535), (65535, 1), (2100, 1030)])
def test_long_flat_and_large_images_come_back(rows: int, columns: int) -> None:
    pixels, form = image(Shape(rows, columns, 1, 16), "noise")
    assert (decode(b"".join(part for _, part in encode(pixels)), form) == pixels).all()


def test_small_images_have_one_part_and_large_ones_no_more_than_six() -> None:
    sizes = [(1, 1), (64, 64), (65, 64), (256, 256), (512, 512), (512, 513), (9999, 1)]
    assert [coarsest(*size) for size in sizes] == [0, 0, 1, 2, 3, 4, 5]


def test_the_first_part_of_a_slice_is_a_small_share() -> None:
    pixels, _ = image(Shape(512, 512, 1, 16))
    parts = encode(pixels)
    assert [level for level, _ in parts] == [3, 2, 1, 0]
    assert len(parts[0][1]) < 0.06 * sum(len(part) for _, part in parts)


def test_a_beginning_that_breaks_off_within_a_level_gives_the_level_before() -> None:
    pixels, form = image(Shape(512, 512, 1, 16))
    (_, first), (_, second), *_ = encode(pixels)
    assert decode_beginning(first + second[:-1], form).shape == (64, 64)
    assert decode_beginning(first + second, form).shape == (128, 128)


def test_damage_and_what_follows_are_refused() -> None:
    pixels, form = image(Shape(60, 50, 1, 16))
    ((_, coded),) = encode(pixels)
    for bad in (coded[:-1], coded + b"\0", coded[: len(coded) // 2], b"", coded[1:]):
        with pytest.raises(CodingError):
            decode(bad, form)
    for bad in (b"", coded[:100], coded[:130]):
        with pytest.raises(CodingError):
            decode_beginning(bad, form)


def test_an_image_of_another_size_depth_or_colour_is_refused() -> None:
    pixels, form = image(Shape(60, 50, 1, 16))
    ((_, coded),) = encode(pixels)
    for other in (
        evolve(form, rows=50, columns=60),
        evolve(form, rows=59),
        evolve(form, samples=3),
        evolve(form, bits=8, offset=0),
    ):
        with pytest.raises(CodingError):
            decode(coded, other)
        with pytest.raises(CodingError):
            decode_beginning(coded, other)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_could_not_be_decoded_is_black_and_not_memory() -> None:
    pixels, form = image(Shape(64, 64, 1, 16), "noise")
    ((_, coded),) = encode(pixels)
    broken = bytearray(coded)
    broken[-2000:-2] = bytes(1998)
    found = [decode(bytes(broken), form).tobytes() for _ in range(3)]
    assert found[0] == found[1] == found[2]
