import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from p2pacs.errors import BrokenInstanceError
from p2pacs.instance import EncodedInstance
from p2pacs.study import coding
from p2pacs.study.codecs import RAW, ZSTD, decode
from p2pacs.study.coding import CodedInstance, code
from p2pacs.study.split import Kind
from tests.p2pacs.study.samples import CT, EXPLICIT, STUDY_UID, dataset, encode, instance

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on junk


def decoded(coded: CodedInstance) -> bytes:
    return b"".join(decode(blob.codec, blob.coded, blob.size) for blob in coded.blobs)


def test_codes_and_describes() -> None:
    plain = instance(3)
    coded = code(plain)
    assert decoded(coded) == plain.data
    assert coded.sha256 == hashlib.sha256(plain.data).digest()
    assert coded.size == len(plain.data)
    assert coded.study_instance_uid == STUDY_UID
    assert coded.series_instance_uid == f"{STUDY_UID}.1"
    assert [blob.codec for blob in coded.blobs] == [ZSTD.number, ZSTD.number]
    assert b'"00200013":{"vr":"IS","Value":[3]}' in coded.attributes


def test_what_does_not_get_smaller_stays() -> None:
    incompressible = instance(BitsAllocated=8, PixelData=hashlib.shake_128(b"").digest(64 * 64))
    coded = code(incompressible)
    assert coded.blobs[1].kind is Kind.FRAME
    assert coded.blobs[1].codec == RAW.number
    assert decoded(coded) == incompressible.data


def test_encapsulated_pixel_data_stay_as_they_are() -> None:
    made = dataset()
    del made.PixelData
    data = encode(made) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + bytes(1000)
    coded = code(EncodedInstance(CT, "1.2", "1.2.840.10008.1.2.4.90", data))
    assert [(blob.kind, blob.codec) for blob in coded.blobs] == [
        (Kind.HEADER, ZSTD.number),
        (Kind.ENCAPSULATED, RAW.number),
    ]
    assert decoded(coded) == data


def test_a_codec_that_is_not_exact_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lossy:
        number, name = ZSTD.number, "lossy"

        def encode(self, plain: bytes) -> bytes:
            return plain[:-1]

        def decode(self, coded: bytes, size: int) -> bytes:
            return coded + b"?"

    monkeypatch.setattr(coding, "ZSTD", Lossy())
    plain = instance()
    coded = code(plain)
    assert {blob.codec for blob in coded.blobs} == {RAW.number}
    assert decoded(coded) == plain.data


@pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_without_identity(missing: str) -> None:
    made = dataset()
    delattr(made, missing)
    with pytest.raises(BrokenInstanceError, match="without"):
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
