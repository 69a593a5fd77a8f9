import pytest
from hypothesis import given

from p2pacs.errors import TranscodingError
from p2pacs.limits import SEQUENCE_DEPTH
from p2pacs.transcode.elements import number_of, read_elements, sample_bits, sample_sign
from p2pacs.transcode.syntaxes import Encoding
from tests.p2pacs.transcode.encoder import Items, Made, elements, encode

EXPLICIT, IMPLICIT = Encoding(), Encoding(implicit=True)


@given(elements())
def test_elements_lie_one_after_the_other(made: tuple[Made, ...]) -> None:
    for encoding in (EXPLICIT, IMPLICIT, Encoding(little=False)):
        data = encode(made, implicit=encoding.implicit, little=encoding.little)
        found = read_elements(data, encoding, deep=True).elements
        assert [element.tag for element in found] == [one.tag for one in made]
        assert b"".join(data[element.start : element.end] for element in found) == data


@given(elements())
def test_what_breaks_off_is_refused_or_shorter(made: tuple[Made, ...]) -> None:
    data = encode(made)
    whole = read_elements(data, EXPLICIT, deep=True).elements
    ends = {0, *(element.end for element in whole)}
    for cut in range(0, len(data), 7):
        if cut not in ends:
            with pytest.raises(TranscodingError):
                read_elements(data[:cut], EXPLICIT, deep=True)


def test_no_vr_of_dicom() -> None:
    data = encode((Made(0x00080008, "CS", b"A "), Made(0x00090010, "ZZ", b"A ")))
    with pytest.raises(TranscodingError, match="VR"):
        read_elements(data, EXPLICIT, deep=False)


def test_implicit_where_explicit_was_said() -> None:
    data = encode((Made(0x00080008, "CS", b"A "), Made(0x00280100, "US", b"\x08\0")), implicit=True)
    found = read_elements(data, EXPLICIT, deep=False)
    assert found.encoding == IMPLICIT
    assert sample_bits(data, found) == 8


def test_endless_depth() -> None:
    made: tuple[Made, ...] = ()
    for _ in range(SEQUENCE_DEPTH + 2):
        made = (Made(0x00081140, "SQ", Items(((True, made),), True)),)
    with pytest.raises(TranscodingError, match="deep"):
        read_elements(encode(made), EXPLICIT, deep=True)


def test_samples() -> None:
    data = encode((Made(0x00280100, "US", b"\x10\0"), Made(0x00280103, "US", b"\1\0")))
    found = read_elements(data, EXPLICIT, deep=False)
    assert sample_bits(data, found) == 16
    assert sample_sign(data, found)
    nothing = read_elements(b"", EXPLICIT, deep=False)
    assert number_of(b"", nothing, 0x00280100) is None
    assert sample_bits(b"", nothing, 8) == 8
    assert not sample_sign(b"", nothing)


@pytest.mark.parametrize(
    "data",
    [
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\x08\0\x08\0UT\0\0\xff\xff\xff\xff",
        b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff",
        b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\4\0\0\0\0\0\0\0",
        b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff",
        b"\x08\0\x40\x11SQ\0\0\x08\0\0\0\xfe\xff\0\xe0\xff\0\0\0",
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(TranscodingError):
        read_elements(data, EXPLICIT, deep=True)
