import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.uids import is_standard_uid, is_uid


@pytest.mark.parametrize(
    "uid", ["1.2.3", "1.2.826." + "1" * 60, "1.2.ABC-7", "0", "x y", "1:2+a_b", "1" * 128]
)
def test_uids_as_they_are(uid: str) -> None:
    assert is_uid(uid)


@pytest.mark.parametrize(
    "uid",
    ["", " 1.2", "1.2 ", ".", "..", "1\\2", "1\n2", "1.2\0", "1" * 129, "ü1", "1.2\n", "1/2", "1*"],
)
def test_what_is_no_uid(uid: str) -> None:
    assert not is_uid(uid)


@given(st.text(max_size=140))
def test_a_standard_uid_is_a_uid(text: str) -> None:
    assert is_uid(text) or not is_standard_uid(text)


def test_standard_uids() -> None:
    assert is_standard_uid("1.2.840.10008")
    assert not is_standard_uid("1.2.A")
    assert not is_standard_uid("1." + "2" * 63)
    assert not is_standard_uid("1..2")
