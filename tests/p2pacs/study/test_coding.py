import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, CodingError
from p2pacs.limits import DICTIONARY_BYTES
from p2pacs.study import coding
from p2pacs.study.codecs import RAW, ZSTD, decode
from p2pacs.study.coding import COMPRESSIBLE, CodedBlob, CodedInstance, code, code_plain
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, Coding
from p2pacs.study.images.picture import picture
from p2pacs.study.split import Kind
from tests.p2pacs.study.samples import (
    CT,
    EXPLICIT,
    STUDY_UID,
    dataset,
    encode,
    instance,
    noise,
    smooth,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on junk


def decoded(coded: CodedInstance) -> bytes:
    """The data set; a frame's parts are decoded as one."""
    frames: list[list[CodedBlob]] = []
    for blob in coded.blobs:
        if blob.codec == HTJ2K_NEXT:
            frames[-1].append(blob)
        else:
            frames.append([blob])
    return b"".join(
        decode(parts[0].codec, b"".join(part.coded for part in parts), parts[0].size)
        for parts in frames
    )


CODERS: list[tuple[Callable[[EncodedInstance], CodedInstance], list[int]]] = [
    (code, [RAW, JXL]),
    (partial(code, coding=Coding.PROGRESSIVE), [RAW, HTJ2K]),
    (code_plain, [RAW, ZSTD]),
]


@pytest.mark.parametrize(("coder", "codecs"), CODERS)
def test_codes_and_describes(
    coder: Callable[[EncodedInstance], CodedInstance], codecs: list[int]
) -> None:
    plain = instance(3)
    coded = coder(plain)
    assert decoded(coded) == plain.data
    assert coded.sha256 == hashlib.sha256(plain.data).digest()
    assert coded.size == len(plain.data)
    assert coded.study_instance_uid == STUDY_UID
    assert coded.series_instance_uid == f"{STUDY_UID}.1"
    assert sorted({blob.codec for blob in coded.blobs}) == codecs
    assert coded.previews == ()
    assert b'"00200013":{"vr":"IS","Value":["3"]}' in coded.attributes


def test_what_does_not_get_smaller_stays() -> None:
    incompressible = instance(BitsAllocated=8, PixelData=hashlib.shake_128(b"").digest(64 * 64))
    coded = code(incompressible)
    assert coded.blobs[1].kind is Kind.FRAME
    assert coded.blobs[1].codec == RAW
    assert decoded(coded) == incompressible.data


def test_encapsulated_pixel_data_stay_as_they_are() -> None:
    made = dataset()
    del made.PixelData
    data = encode(made) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + bytes(1000)
    coded = code(EncodedInstance(CT, "1.2", "1.2.840.10008.1.2.4.90", data))
    assert [(blob.kind, blob.codec) for blob in coded.blobs] == [
        (Kind.HEADER, RAW),
        (Kind.ENCAPSULATED, RAW),
    ]
    assert decoded(coded) == data


@pytest.mark.parametrize("syntax", sorted(COMPRESSIBLE))
def test_encapsulated_pixel_data_that_zstd_makes_smaller(syntax: str) -> None:
    made = dataset()
    del made.PixelData
    data = encode(made) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + bytes(1000)
    coded = code(EncodedInstance(CT, "1.2", syntax, data))
    assert [blob.codec for blob in coded.blobs] == [RAW, ZSTD]
    assert decoded(coded) == data


def test_long_headers_are_coded_here() -> None:
    long = instance(EncapsulatedDocument=bytes(DICTIONARY_BYTES))
    assert [code(one).blobs[0].codec for one in (instance(), long)] == [RAW, ZSTD]


def test_a_frame_with_its_preview() -> None:
    coded = code(smooth(1, 512))
    frame = coded.blobs[1]
    (preview,) = coded.previews
    assert (frame.codec, frame.level, preview.codec, preview.kind) == (JXL, 0, JXL, Kind.PREVIEW)
    assert preview.level > 0
    assert preview.digest == frame.digest
    assert preview.key != frame.key
    assert picture(preview.codec, preview.coded).rows == 512 >> preview.level


def test_a_frame_in_parts() -> None:
    coded = code(smooth(1, 512), Coding.PROGRESSIVE)
    _, *parts = coded.blobs
    assert [part.codec for part in parts] == [HTJ2K] + [HTJ2K_NEXT] * (len(parts) - 1)
    assert [part.size for part in parts] == [512 * 512 * 2] + [0] * (len(parts) - 1)
    levels = [part.level for part in parts]
    assert levels == sorted(set(levels), reverse=True)
    assert levels[-1] == 0
    assert len({part.digest for part in parts}) == 1
    assert len({part.key for part in parts}) == len(parts)
    assert decoded(coded) == smooth(1, 512).data


def test_all_frames_of_an_instance() -> None:
    frames = b"".join(noise(number, 64 * 64) for number in range(5))
    plain = instance(NumberOfFrames=5, PixelData=frames)
    for coding_ in Coding:
        coded = code(plain, coding_)
        assert decoded(coded) == plain.data
        assert len({blob.digest for blob in coded.blobs}) == 6


@given(st.data())
def test_damage_is_kept(data: st.DataObject) -> None:
    whole = bytearray(instance(rows=4, columns=4).data)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + 2] = data.draw(st.binary(max_size=4))
    plain = EncodedInstance(CT, "1.2", EXPLICIT, bytes(whole))
    coding_ = data.draw(st.sampled_from(Coding))
    with suppress(BrokenInstanceError):
        assert decoded(code(plain, coding_)) == bytes(whole)


def test_a_codec_that_is_not_exact_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(coded: bytes, size: int) -> bytes:
        return bytes(size)

    def broken(coded: bytes, size: int) -> bytes:
        raise CodingError("damaged")

    for wrong in (lossy, broken):
        monkeypatch.setattr(coding, "decode_zstd", wrong)
        plain = instance()
        coded = code_plain(plain)
        assert {blob.codec for blob in coded.blobs} == {RAW}
        assert decoded(coded) == plain.data


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_without_identity(missing: str) -> None:
    made = dataset()
    delattr(made, missing)
    with pytest.raises(BrokenInstanceError, match="lacks"):
        code(EncodedInstance(CT, "1.2", EXPLICIT, encode(made)))


@pytest.mark.parametrize("data", [b"", b"junk", bytes(1000), b"<html>not found</html>" * 20])
def test_not_dicom(data: bytes) -> None:
    with pytest.raises(BrokenInstanceError):
        code(EncodedInstance(CT, "1.2", EXPLICIT, data))


@pytest.mark.parametrize("uid", ["", "1" * 200])
def test_impossible_uids(uid: str) -> None:
    with pytest.raises(BrokenInstanceError, match="UIDs"):
        code(EncodedInstance(CT, uid, EXPLICIT, instance().data))


def test_many_threads_at_once() -> None:
    plains = [instance(number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        codeds = list(pool.map(code, plains))
    assert [decoded(coded) for coded in codeds] == [plain.data for plain in plains]
