import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from p2pacs.errors import BrokenInstanceError
from p2pacs.instance import EncodedInstance


@given(st.binary(max_size=300))
def test_part10_round_trip(data: bytes) -> None:
    instance = EncodedInstance("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", data)
    data_group = b"\x08\x00" + data
    instance = EncodedInstance(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, data_group
    )
    if len(data_group) >= 8:
        assert EncodedInstance.from_part10(instance.part10()) == instance


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
