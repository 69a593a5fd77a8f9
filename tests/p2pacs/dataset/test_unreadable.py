from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset

from p2pacs.dataset.unreadable import UNREADABLE

SEQUENCE = bytes.fromhex("0800 0511 ffffffff feff00e0 10000000")


@pytest.mark.filterwarnings("ignore")
@given(
    st.binary(max_size=120) | st.binary(max_size=60).map(lambda tail: SEQUENCE + tail),
    st.booleans(),
    st.booleans(),
)
def test_pydicom_raises_nothing_else(data: bytes, implicit: bool, little: bool) -> None:
    try:
        for _ in read_dataset(BytesIO(data), implicit, little).iterall():
            pass
    except UNREADABLE:
        return


def test_a_sequence_that_is_cut_off_is_an_error_of_the_system_to_pydicom() -> None:
    with pytest.raises(OSError, match="read"):
        read_dataset(BytesIO(SEQUENCE + b"ab"), True, True)
    assert OSError in UNREADABLE
