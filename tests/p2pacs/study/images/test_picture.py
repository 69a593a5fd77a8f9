import contextlib

import imagecodecs
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, CodedFrame, Coding, Shape
from p2pacs.study.images.form import FORM_BYTES, Form, read_form
from p2pacs.study.images.frames import FrameCoder
from p2pacs.study.images.picture import PREVIEW_SIDE, picture
from p2pacs.study.images.preview import shown
from p2pacs.study.images.samples import levelled
from tests.p2pacs.study.images.made import frame

SLICE = Shape(300, 280, 1, 16, window=(20_000.0, 30_000.0))


def coded(coding: Coding, shape: Shape = SLICE) -> CodedFrame:
    found = FrameCoder(coding).encode(frame(shape), shape)
    assert found is not None
    return found


@pytest.mark.parametrize("coding", Coding)
def test_a_whole_frame_through_its_window(coding: Coding) -> None:
    found = coded(coding)
    seen = picture(found.codec, found.coded)
    expected = shown(*levelled(frame(SLICE), SLICE))
    assert (seen.rows, seen.columns, seen.samples) == (300, 280, 1)
    assert seen.pixels == expected.tobytes()


def test_the_beginning_of_a_progressive_frame_is_smaller() -> None:
    found = coded(Coding.PROGRESSIVE)
    _, form = levelled(frame(SLICE), SLICE)
    stream = found.coded[FORM_BYTES:]
    prefix = b""
    for level, part in found.parts:
        prefix += part
        seen = picture(HTJ2K, prefix)
        expected = shown(imagecodecs.htj2k_decode(stream, skipres=level), form)
        assert (seen.rows, seen.columns) == expected.shape
        assert seen.pixels == expected.tobytes()
    assert (seen.rows, seen.columns) == (300, 280)
    with pytest.raises(CodingError):
        picture(HTJ2K, found.coded[: FORM_BYTES + 120])


def test_a_preview() -> None:
    found = coded(Coding.SMALLEST)
    assert found.preview is not None
    level, small, size = found.preview
    seen = picture(JXL, small)
    assert (seen.rows, seen.columns, level) == (75, 70, 2)
    assert len(seen.pixels) == size


def test_other_codecs_are_refused() -> None:
    found = coded(Coding.SMALLEST)
    for codec in (0, 1, 2, HTJ2K, HTJ2K_NEXT):
        with pytest.raises(CodingError):
            picture(codec, found.coded)


def test_a_preview_that_lies_about_its_size_is_refused() -> None:
    found = coded(Coding.SMALLEST)
    assert found.preview is not None
    small = found.preview[1]
    form, stream = read_form(small), small[FORM_BYTES:]
    lies = [
        evolve(form, rows=70, columns=75),
        evolve(form, samples=3),
        evolve(form, bits=16),
        Form(PREVIEW_SIDE + 1, 70, 1, 8, lossy=True),
    ]
    for lie in lies:
        with pytest.raises(CodingError):
            picture(JXL, lie.pack() + stream)
    with pytest.raises(CodingError):
        picture(JXL, small + b"\0")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(st.data())
def test_a_damaged_picture_is_a_picture_of_that_size_or_refused(data: st.DataObject) -> None:
    codec, whole = data.draw(st.sampled_from(DAMAGED))
    at = data.draw(st.integers(FORM_BYTES, len(whole) - 1))
    raw = data.draw(st.binary(max_size=8))
    form = read_form(whole)
    with contextlib.suppress(CodingError):
        seen = picture(codec, whole[:at] + raw + whole[at + len(raw) :])
        assert len(seen.pixels) == seen.rows * seen.columns * seen.samples
        assert seen.rows <= form.rows
        assert seen.columns <= form.columns


def _damaged() -> list[tuple[int, bytes]]:
    small = Shape(90, 80, 1, 16)
    smallest, progressive = (coded(coding, small) for coding in Coding)
    preview = coded(Coding.SMALLEST).preview
    assert preview is not None
    return [(JXL, smallest.coded), (JXL, preview[1]), (HTJ2K, progressive.coded)]


DAMAGED = _damaged()
