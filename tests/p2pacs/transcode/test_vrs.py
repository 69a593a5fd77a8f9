import pytest
from pydicom.valuerep import VR

from p2pacs.transcode.vrs import LONG, SHORT, implied_vr, swapped


def test_every_vr_is_known() -> None:
    assert {vr.value for vr in VR if len(vr.value) == 2} == LONG | SHORT
    assert not LONG & SHORT


@pytest.mark.parametrize(
    ("vr", "turned"),
    [
        ("OB", b"12345678"),
        ("UN", b"12345678"),
        ("LO", b"12345678"),
        ("OW", b"21436587"),
        ("AT", b"21436587"),
        ("FL", b"43218765"),
        ("FD", b"87654321"),
    ],
)
def test_byte_order(vr: str, turned: bytes) -> None:
    assert swapped(vr, b"12345678") == turned


def test_what_is_left_of_an_odd_value_stays() -> None:
    assert swapped("US", b"123") == b"213"


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, "PN"),
        (0x00080000, "UL"),
        (0x00090010, "LO"),
        (0x00091010, "UN"),
        (0x00090001, "UN"),
        (0x00080007, "UN"),
        (0x60020010, "US"),
        (0x60023000, "OW"),
        (0x00283006, "OW"),
        (0x54001010, "OW"),
        (0x00280106, "SS"),
        (0x7FE00010, "OB"),
    ],
)
def test_what_implicit_vr_means(tag: int, vr: str) -> None:
    assert implied_vr(tag, signed=True, wide=False) == vr


def test_what_implicit_vr_means_of_other_images() -> None:
    assert implied_vr(0x00280106, signed=False, wide=True) == "US"
    assert implied_vr(0x7FE00010, signed=False, wide=True) == "OW"
