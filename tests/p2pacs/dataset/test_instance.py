import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from p2pacs.dataset import instance as instance_module
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError


@given(st.binary(max_size=300))
def test_part10_round_trip(data: bytes) -> None:
    instance = EncodedInstance("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", data)
    data_group = b"\x08\x00" + data
    instance = EncodedInstance(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, data_group
    )
    if len(data_group) >= 8:
        assert EncodedInstance.from_part10(instance.part10()) == instance


def test_group_0002_is_as_pydicom_writes_it() -> None:
    instance = EncodedInstance("1.2.840.10008.5.1.4.1.1.2", "1.2.33", "1.2.840.10008.1.2", b"")
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = instance.sop_class_uid
    meta.MediaStorageSOPInstanceUID = instance.sop_instance_uid
    meta.TransferSyntaxUID = instance.transfer_syntax_uid
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    written = DicomBytesIO()
    write_file_meta_info(written, meta, enforce_standard=False)
    assert instance.part10_head() == bytes(128) + b"DICM" + written.getvalue()


def test_reads_a_real_file_untouched() -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    with open(path, "rb") as file:  # noqa: PTH123
        raw = file.read()
    instance = EncodedInstance.from_part10(raw)
    assert raw.endswith(instance.data)
    again = pydicom.dcmread(path)
    assert instance.sop_instance_uid == again.SOPInstanceUID
    assert instance.transfer_syntax_uid == again.file_meta.TransferSyntaxUID


_CUT_SEQUENCE = b"\x02\0\x02\0SQ\0\0\xff\xff\xff\xff\xfe\xff"
_ODD_NUMBER = b"\x02\0\x02\0US\x03\0abc"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"junk",
        bytes(128) + b"DICM",
        bytes(128) + b"DICM\x02\0",
        bytes(128) + b"DICM" + _CUT_SEQUENCE,
        bytes(128) + b"DICM" + _ODD_NUMBER,
    ],
)
def test_refuses_what_is_not_dicom(junk: bytes) -> None:
    with pytest.raises(BrokenInstanceError):
        EncodedInstance.from_part10(junk)


def _both_ways(file: bytes, monkeypatch: pytest.MonkeyPatch) -> list[EncodedInstance | None]:
    found: list[EncodedInstance | None] = []
    for quick in (instance_module._usual_meta, lambda _file: None):
        with monkeypatch.context() as patch:
            patch.setattr(instance_module, "_usual_meta", quick)
            try:
                found.append(EncodedInstance.from_part10(file))
            except BrokenInstanceError:
                found.append(None)
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_quick_way_gives_what_pydicom_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = 0
    bundled = Path(str(get_testdata_file("CT_small.dcm"))).parent
    for path in sorted(bundled.glob("*.dcm")):
        raw = path.read_bytes()
        if path.stat().st_size < 2_000_000 and raw[128:132] == b"DICM":
            quick, slow = _both_ways(raw, monkeypatch)
            assert quick == slow, path.name
            usual += instance_module._usual_meta(raw) is not None
    assert usual > 20


@given(place=st.integers(132, 500), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damage_is_no_other_instance(place: int, value: int, cut: int) -> None:
    whole = EncodedInstance("1.2.840.1", "1.2.3.44", "1.2.840.10008.1.2.1", b"\x08\0" + bytes(98))
    raw = bytearray(whole.part10())
    raw[place % len(raw)] = value
    raw = raw[: len(raw) - cut % 150]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        quick, slow = _both_ways(bytes(raw), patch)
    assert quick == slow or slow is None or instance_module._usual_meta(bytes(raw)) is None
