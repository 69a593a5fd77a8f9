"""Coded frames that lie, each decoded in a process whose memory is watched.

Run as a program it prints by how many KiB the process grew while it refused them all.
"""

from __future__ import annotations

import contextlib
import resource
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np
from attrs import evolve

from p2pacs.errors import CodingError
from p2pacs.study.images import HTJ2K, JXL, Coding, Shape
from p2pacs.study.images.form import FORM_BYTES, IMAGE_BYTES, Form, read_form
from p2pacs.study.images.frames import FrameCoder, decode_frame
from p2pacs.study.images.picture import picture
from tests.p2pacs.study.images.made import frame
from tests.p2pacs.study.images.test_j2k_header import main, parts
from tests.p2pacs.study.images.test_jxl_header import stream

HUGE = 100_000


def blobs() -> Iterator[tuple[str, int, bytes, int]]:
    """(What it is, codec, coded, declared size)."""
    size = [(0, 1), (3, 2), (HUGE - 1, 30), (0, 3), (3, 2), (HUGE - 1, 30)]
    form = Form(512, 512, 1, 16)
    claims = stream(size=size)
    yield "JPEG XL of 100,000 x 100,000", JXL, form.pack() + claims, form.size
    largest = Form(8192, 4096, 1, 16)
    yield "of the size of the largest frame", JXL, largest.pack() + claims, IMAGE_BYTES
    wide = {"rows": HUGE, "columns": HUGE, "tile_rows": HUGE, "tile_columns": HUGE}
    body = main(**wide) + parts() + b"\xff\xd9"
    yield "HTJ2K of 100,000 x 100,000", HTJ2K, form.pack() + body, form.size
    blocks = main(block_columns=0, block_rows=0, **{**wide, "rows": 8192, "tile_rows": 8192})
    yield "HTJ2K of tiny code blocks", HTJ2K, form.pack() + blocks + parts(), form.size
    beyond = struct.pack(">BBHHHiiI", 1, 1, 65535, 65535, 0, 0, 0, 0)
    yield "a form of 8 GiB", JXL, beyond + claims, 65535 * 65535 * 2
    yield "a declared size of 1 TiB", JXL, form.pack() + claims, 1 << 40
    yield from _boxes_and_others()
    yield from _real()


def _boxes_and_others() -> Iterator[tuple[str, int, bytes, int]]:
    """What libjxl would decode, and must not."""
    pixels = np.zeros((64, 64), np.uint8)
    form = Form(64, 64, 1, 8).pack()
    boxed = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=3, usecontainer=True))
    yield "boxes", JXL, form + boxed, 4096
    frames = imagecodecs.jpegxl_encode(np.zeros((9, 64, 64), np.uint8), lossless=True, effort=3)
    yield "an animation", JXL, form + bytes(frames), 4096
    lossy = imagecodecs.jpegxl_encode(pixels, distance=2.0, effort=3, photometric="gray")
    yield "with loss", JXL, form + bytes(lossy), 4096
    alpha = imagecodecs.jpegxl_encode(np.zeros((64, 64, 4), np.uint8), lossless=True, effort=3)
    yield "with alpha", JXL, Form(64, 64, 3, 8).pack() + bytes(alpha), 12288
    plain_j2k = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True)
    yield "JPEG 2000 of the old kind", HTJ2K, form + bytes(plain_j2k), 4096


def _real() -> Iterator[tuple[str, int, bytes, int]]:
    """Real ones that were cut, went on, or were given to the wrong frame."""
    shape = Shape(200, 180, 1, 16)
    plain = frame(shape)
    for coding in Coding:
        found = FrameCoder(coding).encode(plain, shape)
        assert found is not None
        codec, coded = found.codec, found.coded
        form, rest = read_form(coded), coded[FORM_BYTES:]
        for length in range(0, len(coded), 97):
            yield f"{coding} cut", codec, coded[:length], shape.size
        yield f"{coding} goes on", codec, coded + b"\0", shape.size
        yield f"{coding} for another size", codec, coded, shape.size - 2
        yield f"{coding} twice", codec, coded + rest, shape.size
        yield f"{coding} of another codec", JXL + HTJ2K - codec, coded, shape.size
        for other in (
            evolve(form, rows=180, columns=200),
            evolve(form, check=form.check ^ 1),
            evolve(form, big_endian=True),
            evolve(form, lossy=True),
        ):
            yield f"{coding} with another form", codec, other.pack() + rest, shape.size
        rng = np.random.default_rng(1)
        for _ in range(300):
            flipped = bytearray(coded)
            at = int(rng.integers(FORM_BYTES - 4, len(coded)))
            flipped[at] ^= 1 << int(rng.integers(8))
            yield f"{coding} with a flipped bit", codec, bytes(flipped), shape.size
        if found.preview is not None:
            yield "a preview", JXL, found.preview[1], found.preview[2]
        yield "a preview of nothing", JXL, Form(9, 9, 1, 8, lossy=True).pack(), 81


def refused(codec: int, coded: bytes, size: int) -> bool:
    """Whether it is refused as a frame; as a picture it may do what it wants within its bounds."""
    with contextlib.suppress(CodingError):
        picture(codec, coded)
    try:
        decode_frame(codec, coded, size)
    except CodingError:
        return True
    return False


if __name__ == "__main__":
    held = list(blobs())
    for _, codec, coded, size in held[-20:]:  # the libraries are loaded
        refused(codec, coded, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    passed = [what for what, codec, coded, size in held if not refused(codec, coded, size)]
    assert not passed, passed
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)  # noqa: T201
