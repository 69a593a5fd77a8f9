from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dsutils import encode

from p2pacs.dimse.server.identifiers import decode_identifier
from p2pacs.errors import UsageError
from tests.p2pacs.dimse.samples import IMPLICIT, NO_DATA_SET, study

SYNTAX = UID(IMPLICIT)


def test_an_identifier_comes_back() -> None:
    encoded = encode(study(), True, True)
    assert encoded is not None
    assert decode_identifier(BytesIO(encoded), SYNTAX) == study()


@pytest.mark.parametrize("stream", [None, BytesIO(NO_DATA_SET)])
def test_none_and_no_data_set(stream: BytesIO | None) -> None:
    with pytest.raises(UsageError):
        decode_identifier(stream, SYNTAX)


@pytest.mark.filterwarnings("ignore")
@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_bytes_are_read_or_refused(garbage: bytes, cut: int) -> None:
    encoded = encode(study(), True, True)
    assert encoded is not None
    try:
        decode_identifier(BytesIO(encoded[:cut] + garbage), SYNTAX)
    except UsageError:
        return
