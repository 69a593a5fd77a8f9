from contextlib import suppress
from io import BytesIO

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from p2pacs.dataset.bare import read_instance, with_own_uids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from tests.conformance.instances import make, recode
from tests.odd import ODD_BYTES, ODD_VALUES

WHOLE = make("1.2.3")
PREAMBLE = bytes(128) + b"DICM"


def big_endian() -> EncodedInstance:
    dataset = dcmread(BytesIO(WHOLE.part10()))
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = False, False
    write_dataset(out, dataset)
    return evolve(WHOLE, data=out.getvalue(), transfer_syntax_uid=str(ExplicitVRBigEndian))


NATIVE = {
    "explicit": WHOLE,
    "implicit": recode(WHOLE, ImplicitVRLittleEndian),
    "big endian": big_endian(),
}


@pytest.mark.parametrize("instance", NATIVE.values(), ids=NATIVE.keys())
@pytest.mark.parametrize("told", ["", str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)])
def test_native_data_sets_say_themselves_how_they_are_written(
    instance: EncodedInstance, told: str
) -> None:
    for file in (
        instance.data,
        PREAMBLE + instance.data,
        instance.part10(),
        instance.part10()[132:],
    ):
        assert read_instance(file, told) == instance


def test_compressed_pixel_data_need_somebody_who_tells_how() -> None:
    instance = recode(WHOLE, RLELossless)
    assert read_instance(instance.data, str(RLELossless)) == instance
    with pytest.raises(BrokenInstanceError, match="syntax is not known"):
        read_instance(instance.data)


@ODD_BYTES
def test_without_uids_it_is_nothing() -> None:
    for file in (b"", b"x", b"no DICOM file", PREAMBLE, WHOLE.data[:40], bytes(1000)):
        with pytest.raises(BrokenInstanceError):
            read_instance(file)


@ODD_BYTES
@given(st.binary(max_size=300), st.sampled_from(["", str(RLELossless)]))
def test_junk_only_raises_broken_instance_error(junk: bytes, told: str) -> None:
    for file in (junk, PREAMBLE + junk, WHOLE.data[:60] + junk):
        with suppress(BrokenInstanceError):
            read_instance(file, told)


@pytest.mark.parametrize("instance", NATIVE.values(), ids=NATIVE.keys())
def test_what_the_data_set_names_is_right(instance: EncodedInstance) -> None:
    """Whatever the file's header or the DIMSE message says: C-FIND tells of the data set."""
    assert with_own_uids(instance) is instance
    for said in ("1.2.4", "1.2.3.1", f"{instance.sop_instance_uid}1", "3" * 64):
        wrong = evolve(instance, sop_instance_uid=said)
        assert with_own_uids(wrong) == instance
        assert read_instance(wrong.part10()) == instance
    assert with_own_uids(evolve(instance, sop_class_uid="1.2.3.4")) == instance


@ODD_VALUES
def test_a_uid_that_was_cut_off_is_that_of_the_data_set() -> None:
    uid = "1.2." + "9" * 70
    sent = make("1.2.3", SOPInstanceUID=uid)
    assert with_own_uids(evolve(sent, sop_instance_uid=uid[:64])) == sent


@ODD_BYTES
@given(st.binary(max_size=300))
def test_a_data_set_that_says_nothing_is_called_as_it_was_said(junk: bytes) -> None:
    said = EncodedInstance("1.2.3", "1.2.3.4", str(ExplicitVRLittleEndian), junk)
    assert with_own_uids(said) == said
