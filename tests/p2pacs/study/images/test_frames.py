import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.dataset.header import read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, Coding, Shape, frames
from p2pacs.study.images.form import read_form
from p2pacs.study.images.frames import FrameCoder, decode_frame
from p2pacs.study.images.preview import BUDGET
from p2pacs.study.images.samples import Pixels
from p2pacs.study.images.shape import shape_of
from p2pacs.study.split import Kind, split
from tests.p2pacs.study.images.hostile import blobs, refused
from tests.p2pacs.study.images.made import CONTENTS, frame, shapes

SLICE = Shape(200, 180, 1, 16)


@settings(max_examples=200)
@given(shapes(130), st.sampled_from(CONTENTS), st.integers(0, 9), st.sampled_from(Coding))
def test_a_coded_frame_is_smaller_and_exact(
    shape: Shape, content: str, seed: int, coding: Coding
) -> None:
    plain = frame(shape, content, seed)
    found = FrameCoder(coding).encode(plain, shape)
    if found is None:
        assert content in ("noise", "garbage", "extremes") or shape.size < 2000
        return
    assert len(found.coded) < len(plain)
    assert decode_frame(found.codec, found.coded, len(plain)) == plain
    levels = [level for level, _ in found.parts]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == 0
    if coding is Coding.PROGRESSIVE:
        assert found.codec == HTJ2K
        assert found.preview is None
    else:
        assert found.codec == JXL
        assert levels == [0]
    if found.preview is not None:
        assert len(found.preview[1]) <= BUDGET * len(found.coded)


@pytest.mark.parametrize("coding", Coding)
def test_a_frame_of_another_length_than_its_shape_is_left_alone(coding: Coding) -> None:
    coder = FrameCoder(coding)
    for plain in (b"", bytes(SLICE.size - 1), bytes(SLICE.size + 1)):
        assert coder.encode(plain, SLICE) is None
    assert coder.encode(bytes(9), Shape(0, 9, 1, 8)) is None


@pytest.mark.parametrize("coding", Coding)
def test_noise_is_left_alone(coding: Coding) -> None:
    assert FrameCoder(coding).encode(frame(SLICE, "noise"), SLICE) is None


@pytest.mark.parametrize("coding", Coding)
def test_a_codec_that_fails_or_is_not_exact_gives_nothing(
    coding: Coding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise CodingError("it failed")

    def other(*_: object) -> bytes:
        return bytes(SLICE.size)

    plain = frame(SLICE)
    monkeypatch.setattr(frames, "decode_frame", other)
    assert FrameCoder(coding).encode(plain, SLICE) is None
    monkeypatch.setattr(frames, "decode_frame", fail)
    assert FrameCoder(coding).encode(plain, SLICE) is None


class Efforts:
    """Stands between the coder and the codec: notes efforts, and makes one the smaller."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, better: int) -> None:
        self.used: list[int] = []
        self._better = better
        self._encode = frames.jxl.encode
        monkeypatch.setattr(frames.jxl, "encode", self.encode)

    def encode(self, pixels: Pixels, effort: int) -> bytes:
        self.used.append(effort)
        return self._encode(pixels, 3) + bytes(0 if effort == self._better else 1000)


@pytest.mark.parametrize("better", [2, 3])
def test_the_effort_that_was_smaller_is_kept_until_it_is_tried_again(
    better: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    efforts = Efforts(monkeypatch, better)
    coder = FrameCoder(Coding.SMALLEST)
    plain = frame(Shape(40, 40, 1, 16))
    for window in range(1, 34):  # a window does not make another stretch
        assert coder.encode(plain, Shape(40, 40, 1, 16, window=(5.0, float(window)))) is not None
    assert efforts.used == [2, 3, *[better] * 31, 2, 3]


def test_each_shape_has_an_effort_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    efforts = Efforts(monkeypatch, 2)
    coder = FrameCoder(Coding.SMALLEST)
    for shape in (Shape(40, 40, 1, 16), Shape(40, 40, 3, 8), Shape(40, 40, 1, 16)):
        coder.encode(frame(shape), shape)
    assert efforts.used == [2, 3, 2, 5, 2]


def test_shapes_without_end_are_forgotten() -> None:
    coder = FrameCoder(Coding.SMALLEST)
    for rows in range(1, 600):
        coder.encode(bytes(rows * 4), Shape(rows, 4, 1, 8))
    assert len(coder._habits) <= 256


def test_a_preview_is_never_the_frame() -> None:
    found = FrameCoder(Coding.SMALLEST).encode(
        frame(Shape(512, 512, 1, 16)), Shape(512, 512, 1, 16)
    )
    assert found is not None
    assert found.preview is not None
    level, small, size = found.preview
    assert level == 2
    assert read_form(small).size == size == 128 * 128
    with pytest.raises(CodingError, match="preview"):
        decode_frame(JXL, small, size)


def test_other_codecs_are_refused() -> None:
    found = FrameCoder(Coding.SMALLEST).encode(frame(SLICE), SLICE)
    assert found is not None
    for codec in (0, 1, 2, HTJ2K, HTJ2K_NEXT, 6):
        with pytest.raises(CodingError):
            decode_frame(codec, found.coded, SLICE.size)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_lies_or_is_damaged_is_refused() -> None:
    passed = [what for what, codec, coded, size in blobs() if not refused(codec, coded, size)]
    assert not passed


def test_what_lies_takes_no_memory() -> None:
    module = "tests.p2pacs.study.images.hostile"
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, check=True)
    assert int(done.stdout) < 16 * 1024


def native_frames(data: bytes, syntax: str) -> list[tuple[bytes, Shape]]:
    header = read_header(data, syntax)
    if header is None:
        return []
    cut = [piece for piece in split(data, syntax).pieces if piece.kind is Kind.FRAME]
    made = [
        (data[piece.start : piece.end], shape_of(header, piece.end - piece.start)) for piece in cut
    ]
    return [(plain, shape) for plain, shape in made if shape is not None]


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.filterwarnings("ignore")
def test_the_small_real_files_of_pydicom(coding: Coding) -> None:
    coder = FrameCoder(coding)
    seen = set()
    for path in sorted(Path(pydicom.__file__).parent.rglob("*.dcm")):
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        try:
            instance = EncodedInstance.from_part10(raw)
        except Exception:  # noqa: BLE001, S112 - some are broken on purpose
            continue
        for plain, shape in native_frames(instance.data, instance.transfer_syntax_uid)[:3]:
            found = coder.encode(plain, shape)
            if found is not None:
                assert decode_frame(found.codec, found.coded, len(plain)) == plain
                seen.add((shape.samples, shape.bits, shape.planar, shape.big_endian))
    assert len(seen) >= 5


@pytest.mark.data
@pytest.mark.parametrize("coding", Coding)
def test_real_series(coding: Coding, data_dir: Path) -> None:
    coder = FrameCoder(coding)
    plain_bytes = coded_bytes = 0
    for path in sorted(path for path in data_dir.rglob("*") if path.is_file())[::5]:
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        instance = EncodedInstance.from_part10(raw)
        for plain, shape in native_frames(instance.data, instance.transfer_syntax_uid):
            found = coder.encode(plain, shape)
            assert found is not None
            assert decode_frame(found.codec, found.coded, len(plain)) == plain
            if found.preview is not None:
                assert len(found.preview[1]) <= BUDGET * len(found.coded)
            plain_bytes += len(plain)
            coded_bytes += len(found.coded)
    assert plain_bytes > 3 * coded_bytes > 0
