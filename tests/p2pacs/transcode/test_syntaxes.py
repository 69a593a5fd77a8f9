import pytest
from pydicom.uid import AllTransferSyntaxes

from p2pacs.transcode.syntaxes import Encoding, coding_of, encoding_of, name_of
from tests.p2pacs.transcode.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG, MPEG


def test_native_syntaxes() -> None:
    assert encoding_of(EXPLICIT) == Encoding(implicit=False, little=True)
    assert encoding_of(IMPLICIT) == Encoding(implicit=True, little=True)
    assert encoding_of(BIG_ENDIAN) == Encoding(implicit=False, little=False)
    assert coding_of(EXPLICIT) is None


@pytest.mark.parametrize("syntax", AllTransferSyntaxes)
def test_whatever_has_frames_is_explicit(syntax: str) -> None:
    if coding_of(syntax) is not None:
        assert encoding_of(syntax) == Encoding()


def test_what_is_not_decoded_is_not_read() -> None:
    assert encoding_of(MPEG) is None
    assert encoding_of("1.2.3") is None


def test_names_are_short() -> None:
    assert name_of(JPEG) == "JPEGBaseline8Bit"
    assert name_of("1.2.3") == "1.2.3"
