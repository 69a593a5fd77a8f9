import pytest

from p2pacs.transcode.choice import choose
from p2pacs.transcode.syntaxes import TARGETS
from tests.p2pacs.transcode.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG_LOSSLESS, MPEG

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


def test_what_is_accepted_is_sent_as_it_is_stored() -> None:
    accepted = [(CT, EXPLICIT), (CT, JPEG_LOSSLESS), (CT, IMPLICIT)]
    assert choose(CT, JPEG_LOSSLESS, accepted).syntax == JPEG_LOSSLESS


def test_what_cannot_be_decoded_is_sent_too_where_it_is_accepted() -> None:
    assert choose(CT, MPEG, [(CT, MPEG), (CT, EXPLICIT)]).syntax == MPEG


@pytest.mark.parametrize("stored", [JPEG_LOSSLESS, BIG_ENDIAN])
def test_explicit_is_better_than_implicit(stored: str) -> None:
    assert choose(CT, stored, [(CT, IMPLICIT), (CT, EXPLICIT)]).syntax == EXPLICIT
    assert choose(CT, stored, [(CT, IMPLICIT)]).syntax == IMPLICIT
    assert TARGETS == (EXPLICIT, IMPLICIT)


def test_another_class_does_not_count() -> None:
    choice = choose(CT, JPEG_LOSSLESS, [(MR, JPEG_LOSSLESS), (MR, EXPLICIT)])
    assert choice.syntax is None
    assert choice.reason == "JPEGLosslessSV1 not accepted, nor Explicit or Implicit VR"


def test_a_video_is_not_decoded() -> None:
    choice = choose(CT, MPEG, [(CT, EXPLICIT)])
    assert choice.syntax is None
    assert choice.reason == "MPEG4HP41 not accepted, and cannot be decoded here"


def test_other_accepted_syntaxes_are_not_encoded_to() -> None:
    assert choose(CT, EXPLICIT, [(CT, JPEG_LOSSLESS), (CT, BIG_ENDIAN)]).syntax is None
