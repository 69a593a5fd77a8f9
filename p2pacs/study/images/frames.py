"""Coding frames without loss, and decoding them without belief."""

from __future__ import annotations

from typing import Final

import imagecodecs
from attrs import define, evolve

from p2pacs.errors import CodingError
from p2pacs.study.images import HTJ2K, JXL, CodedFrame, Coding, Shape, htj2k, jxl
from p2pacs.study.images.form import FORM_BYTES, IMAGE_BYTES, Form, read_form
from p2pacs.study.images.preview import preview
from p2pacs.study.images.samples import Pixels, levelled, restored

_FAST: Final = 2
_GREY: Final = 3
_COLOUR: Final = 5
"""libjxl's efforts. More gains nothing on either kind; 2 is twice as fast, and on some series
the smaller."""

_AS_GOOD: Final = 1.005
"""Half a per cent more bytes are worth half the time."""

_AGAIN: Final = 32
"""After so many frames of a shape both efforts are tried again: twice the time for one in 32."""

_SHAPES: Final = 256
"""Shapes that are remembered; a PACS sends one series after another."""


def load_codecs() -> None:
    """Have imagecodecs load those that frames are decoded with, which it does when they are first
    looked up."""
    _ = imagecodecs.jpegxl_decode, imagecodecs.htj2k_decode


class FrameCoder:
    """Codes frames for one site; it learns which effort suits frames of a shape.

    Keep one for many instances: what it learns is lost with it.
    """

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._habits: dict[Shape, _Habit] = {}

    def encode(self, plain: bytes, shape: Shape) -> CodedFrame | None:
        """The coded frame, which was decoded again and is exactly ``plain``.

        Args:
            plain: a native frame.
            shape: how its samples lie.

        Returns:
            None where the frame does not fit its shape, the codec fails or is not exact, or
            the result is not smaller.
        """
        if len(plain) != shape.size or not 0 < shape.size <= IMAGE_BYTES:
            return None
        pixels, form = levelled(plain, shape)
        try:
            coded = self._coded(pixels, form, shape)
            whole = coded.coded
            codec = HTJ2K if self._coding is Coding.PROGRESSIVE else JXL
            if len(whole) >= len(plain) or decode_frame(codec, whole, len(plain)) != plain:
                return None
        except CodingError:
            return None
        if self._coding is Coding.PROGRESSIVE:
            return coded
        return evolve(coded, preview=preview(pixels, form, len(whole)))

    def _coded(self, pixels: Pixels, form: Form, shape: Shape) -> CodedFrame:
        if self._coding is Coding.PROGRESSIVE:
            (level, first), *rest = htj2k.encode(pixels)
            return CodedFrame(HTJ2K, ((level, form.pack() + first), *rest))
        return CodedFrame(JXL, ((0, form.pack() + self._smallest(pixels, shape)),))

    def _smallest(self, pixels: Pixels, shape: Shape) -> bytes:
        """As JPEG XL, with the effort that is the smaller on frames like this one."""
        usual = _COLOUR if shape.samples == 3 else _GREY
        habit = self._habit(evolve(shape, window=None), usual)
        habit.left -= 1
        if habit.left:
            return jxl.encode(pixels, habit.effort)
        fast, slow = jxl.encode(pixels, _FAST), jxl.encode(pixels, usual)
        habit.effort = _FAST if len(fast) <= len(slow) * _AS_GOOD else usual
        habit.left = _AGAIN
        return min(fast, slow, key=len)

    def _habit(self, shape: Shape, usual: int) -> _Habit:
        if shape not in self._habits:
            if len(self._habits) >= _SHAPES:
                self._habits.clear()
            self._habits[shape] = _Habit(usual)
        return self._habits[shape]


@define
class _Habit:
    """The effort for frames of a shape, and after how many frames to look again."""

    effort: int
    left: int = 1


def decode_frame(codec: int, coded: bytes, size: int) -> bytes:
    """The frame that a `FrameCoder` was given.

    The declared size, the frame header and the codestream's own headers must agree before
    any memory is taken for the image.

    Args:
        codec: `JXL` or `HTJ2K`.
        coded: the coded frame, its parts joined.
        size: bytes that the index declares for the frame.

    Raises:
        CodingError: it does not decode to exactly such a frame, or is a preview.
    """
    form = read_form(coded)
    if form.lossy:
        raise CodingError("a preview is not a frame")
    if form.size != size:
        raise CodingError("a coded frame declares another size than the index")
    stream = coded[FORM_BYTES:]
    if codec == JXL:
        return restored(jxl.decode(stream, form), form)
    if codec == HTJ2K:
        return restored(htj2k.decode(stream, form), form)
    raise CodingError(f"codec {codec} is not one for frames")
