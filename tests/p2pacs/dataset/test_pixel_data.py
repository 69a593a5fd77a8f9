"""Frames against pydicom's own reader, of its own files and of made ones."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import data as pydicom_data
from pydicom.encaps import encapsulate, encapsulate_extended, get_frame
from pydicom.uid import UID

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.pixel_data import NativePixels, PixelData, find_pixel_data, run
from p2pacs.errors import BrokenInstanceError, NotFoundError
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, instance, noise

JPEG = "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"


class Told:
    """The bytes of a data set, and how many of them were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read = 0

    def __call__(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data)
        self.read += end - start
        return self.data[start:end]


def opened(one: EncodedInstance) -> tuple[PixelData, Told]:
    header = read_header(one.data, one.transfer_syntax_uid)
    assert header is not None
    told = Told(one.data)
    return run(find_pixel_data(header, attributes_of(header), len(one.data)), told), told


def frames_of(one: EncodedInstance) -> list[bytes]:
    pixels, told = opened(one)
    return [run(pixels.read(frame), told) for frame in range(pixels.count)]


FOLDER = Path(pydicom_data.__file__).parent / "test_files"
"""Not get_testdata_files(): that one goes to the network for what the package lacks."""
FILES = sorted(path for path in FOLDER.rglob("*.dcm") if path.stat().st_size < 4 * 2**20)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_frames_are_as_pydicom_reads_them(path: Path) -> None:
    try:
        one = EncodedInstance.from_part10(path.read_bytes())
    except BrokenInstanceError:
        pytest.skip("no instance")
    dataset = pydicom.dcmread(path, force=True)
    if one.transfer_syntax_uid == DEFLATED or "PixelData" not in dataset:
        pytest.skip("no pixel data, or inflated elsewhere")
    if path.name == "badVR.dcm":
        pytest.skip("its number of frames is none to pydicom")
    try:
        frames = frames_of(one)
    except BrokenInstanceError:
        assert path.name in BROKEN
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    assert len(frames) == count
    raw = dataset.PixelData
    if UID(one.transfer_syntax_uid).is_compressed:
        for number, frame in enumerate(frames):
            assert frame == get_frame(raw, number, number_of_frames=count)
    elif one.transfer_syntax_uid == BIG_ENDIAN or dataset.BitsAllocated == 1:
        pixels = dataset.pixel_array.reshape((count, dataset.Rows, dataset.Columns, -1))
        if dataset.get("PlanarConfiguration"):
            pixels = pixels.transpose(0, 3, 1, 2)
        assert frames == [_little_endian(frame, dataset.BitsAllocated) for frame in pixels]
    else:
        size = len(frames[0])
        assert frames == [raw[at : at + size] for at in range(0, count * size, size)]


BROKEN = {"MR_truncated.dcm", "nested_priv_SQ.dcm"}
"""No rows and columns, or pixel data shorter than those say."""


def _little_endian(pixels: NDArray[Any], bits: int) -> bytes:
    if bits == 1:
        return np.packbits(pixels, bitorder="little").tobytes()
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


# ---------------------------------------------------------------- encapsulated

IMAGES = [bytes([number]) * 40 + b"\xff\xd9" for number in range(1, 7)]

encapsulations: dict[str, Callable[[Sequence[bytes]], dict[str, Any]]] = {
    "table": lambda images: {"PixelData": encapsulate(list(images))},
    "no table": lambda images: {"PixelData": encapsulate(list(images), has_bot=False)},
    "fragments": lambda images: {"PixelData": encapsulate(list(images), 3)},
    "fragments without a table": lambda images: {
        "PixelData": encapsulate(list(images), 3, has_bot=False)
    },
    "extended table": lambda images: dict(
        zip(
            ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
            encapsulate_extended(list(images)),
            strict=True,
        )
    ),
}


def encapsulated(images: Sequence[bytes], how: str) -> EncodedInstance:
    said = {
        "NumberOfFrames": str(len(images)),
        "PixelRepresentation": 0,
        **encapsulations[how](images),
    }
    return _undefined(said)


def _undefined(said: dict[str, Any]) -> EncodedInstance:
    """An instance whose pixel data are of undefined length."""
    pixels = said.pop("PixelData")
    assert isinstance(pixels, bytes)
    made = instance(1, **said, PixelData=b"")
    head, _, _ = made.data.rpartition(struct.pack("<HH", 0x7FE0, 0x0010))
    element = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    data = head + element + pixels + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return EncodedInstance(made.sop_class_uid, made.sop_instance_uid, JPEG, data)


@pytest.mark.parametrize("how", encapsulations)
@pytest.mark.parametrize("count", [1, 2, 6])
def test_encapsulated_frames(how: str, count: int) -> None:
    assert frames_of(encapsulated(IMAGES[:count], how)) == IMAGES[:count]


def test_only_what_is_needed_is_read() -> None:
    images = [bytes([number]) * 10_000 for number in range(100)]
    pixels, told = opened(encapsulated(images, "table"))
    assert run(pixels.read(70), told) == images[70]
    assert told.read < 11_000


def test_one_frame_of_several_fragments_needs_no_table() -> None:
    one = encapsulated([b"ab" * 50], "fragments without a table")
    assert frames_of(one) == [b"ab" * 50]


@pytest.mark.parametrize(
    "pixels",
    [
        b"",
        b"\xfe\xff\x00\xe0",
        b"\xfe\xff\x00\xe0\xff\xff\xff\x7f",
        struct.pack("<HHL", 0xFFFE, 0xE00D, 0),
        struct.pack("<HHL", 0xFFFE, 0xE000, 0) + struct.pack("<HHL", 0xFFFE, 0xE000, 900),
        struct.pack("<HHLHHL", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 2) + b"ab" + b"nonsense",
        # a table that points behind the end, and back to before the beginning
        struct.pack("<HHLLL", 0xFFFE, 0xE000, 8, 0, 9999) + struct.pack("<HHL", 0xFFFE, 0xE000, 0),
        struct.pack("<HHLLL", 0xFFFE, 0xE000, 8, 9, 3) + struct.pack("<HHL", 0xFFFE, 0xE000, 0),
    ],
)
def test_broken_pixel_data_are_told(pixels: bytes) -> None:
    with pytest.raises(BrokenInstanceError):
        frames_of(_undefined({"NumberOfFrames": "2", "PixelData": pixels}))


@given(st.binary(max_size=200), st.integers(1, 4))
def test_whatever_is_encapsulated_it_is_an_answer(pixels: bytes, count: int) -> None:
    with suppress(BrokenInstanceError):
        frames_of(_undefined({"NumberOfFrames": str(count), "PixelData": pixels}))


@given(
    st.lists(st.binary(min_size=2, max_size=50).map(lambda raw: raw + raw), min_size=1, max_size=5),
    st.sampled_from(["table", "extended table", "fragments"]),
)
def test_tables_find_every_frame(images: list[bytes], how: str) -> None:
    pieces = 1 if how == "fragments" and min(map(len, images)) < 6 else 3
    if pieces == 1:
        how = "table"
    for frame, image in zip(frames_of(encapsulated(images, how)), images, strict=True):
        assert frame.removesuffix(b"\0") == image.removesuffix(b"\0")


# ---------------------------------------------------------------- native


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_native_frames_are_little_endian(syntax: str) -> None:
    values = noise(1, 3 * 64 * 64)
    stored = np.frombuffer(values, "<u2").astype(">u2").tobytes()
    pixels = stored if syntax == BIG_ENDIAN else values
    frames = frames_of(instance(1, syntax=syntax, NumberOfFrames="3", PixelData=pixels))
    assert b"".join(frames) == values
    assert len(frames) == 3


@given(st.integers(1, 40), st.integers(1, 6), st.randoms(use_true_random=False))
def test_single_bits_begin_a_byte(bits: int, count: int, random) -> None:  # type: ignore[no-untyped-def]
    pixels = np.array([[random.getrandbits(1) for _ in range(bits)] for _ in range(count)])
    packed = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    native = NativePixels(count, 3, len(packed), bits)
    told = Told(b"xyz" + packed)
    for number, frame in enumerate(pixels):
        expected = np.packbits(frame, bitorder="little").tobytes()
        assert run(native.read(number), told) == expected


def test_pixel_data_that_are_too_short_are_told() -> None:
    one = instance(1, NumberOfFrames="2", PixelData=noise(1, 65 * 64))
    pixels, told = opened(one)
    assert len(run(pixels.read(0), told)) == 2 * 64 * 64
    with pytest.raises(BrokenInstanceError):
        run(pixels.read(1), told)


def test_there_is_no_such_frame() -> None:
    pixels, told = opened(instance(1))
    for number in (-1, 1, 10**9):
        with pytest.raises(NotFoundError, match="frames 1 to 1"):
            run(pixels.read(number), told)


@pytest.mark.parametrize(
    "extra", [{"Rows": 0}, {"NumberOfFrames": "-3"}, {"NumberOfFrames": "2000000"}]
)
def test_a_header_that_says_no_size_is_told(extra: dict[str, Any]) -> None:
    with pytest.raises(BrokenInstanceError):
        frames_of(instance(1, **extra))


def test_without_pixel_data_there_are_no_frames() -> None:
    made = instance(1)
    data = made.data[: made.data.rindex(struct.pack("<HH", 0x7FE0, 0x0010))]
    with pytest.raises(NotFoundError, match="no frames"):
        frames_of(EncodedInstance(made.sop_class_uid, made.sop_instance_uid, EXPLICIT, data))
