import struct

import pytest
from hypothesis import given

from p2pacs.errors import TranscodingError
from p2pacs.transcode.elements import SequenceItem, read_elements
from p2pacs.transcode.rewriting import ElementChanges, NewValue, rewritten
from p2pacs.transcode.syntaxes import Encoding
from tests.p2pacs.transcode.encoder import Items, Made, elements, encode

EXPLICIT, IMPLICIT, BIG = Encoding(), Encoding(implicit=True), Encoding(little=False)


def nothing(_item: SequenceItem, _depth: int) -> ElementChanges:
    raise AssertionError("nothing is encapsulated")


def rewrite(data: bytes, source: Encoding, target: Encoding) -> bytes:
    return rewritten(data, read_elements(data, source, deep=source != target), target, nothing)


@given(elements())
def test_every_encoding_becomes_the_other(made: tuple[Made, ...]) -> None:
    explicit, implicit = encode(made), encode(made, implicit=True)
    big = encode(made, little=False)
    assert rewrite(explicit, EXPLICIT, IMPLICIT) == implicit
    assert rewrite(implicit, IMPLICIT, EXPLICIT) == explicit
    assert rewrite(big, BIG, EXPLICIT) == explicit
    assert rewrite(big, BIG, IMPLICIT) == implicit
    assert rewrite(explicit, EXPLICIT, EXPLICIT) == explicit


def both(made: tuple[Made, ...]) -> bytes:
    """In Explicit VR, from Implicit VR."""
    return rewrite(encode(made, implicit=True), IMPLICIT, EXPLICIT)


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS")])
def test_us_or_ss_is_what_the_pixels_are(representation: int, vr: str) -> None:
    descriptor = Made(0x00283002, vr, b"\0\1\0\0\x10\0")
    made = (
        Made(0x00189810, vr, b"\xff\xff"),
        Made(0x00280100, "US", b"\x10\0"),
        Made(0x00280103, "US", bytes([representation, 0])),
        Made(0x00280106, vr, b"\1\x80"),
        Made(0x00283000, "SQ", Items(((False, (descriptor,)),), False)),
    )
    assert both(made) == encode(made)


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW"), (32, "OW")])
def test_pixel_data(bits: int, vr: str) -> None:
    made = (Made(0x00280100, "US", bytes([bits, 0])), Made(0x7FE00010, vr, b"1234"))
    assert both(made) == encode(made)


def test_odd_lengths_stay() -> None:
    made = (Made(0x00100010, "PN", b"A^B"), Made(0x00101020, "DS", b"1.5"))
    assert both(made) == encode(made)


def test_a_value_too_long_for_its_vr_becomes_un() -> None:
    made = (Made(0x00189074, "DT", b"1" * 70_000), Made(0x00204000, "LT", b"A" * 0xFFFE))
    expected = (Made(0x00189074, "UN", b"1" * 70_000), made[1])
    assert both(made) == encode(expected)


def test_a_private_sequence_of_undefined_length_is_a_sequence() -> None:
    inner = (Made(0x00080060, "CS", b"CT"), Made(0x00091011, "UN", b"?"))
    made = (Made(0x00091010, "SQ", Items(((True, inner), (False, ())), True)),)
    assert both(made) == encode(made)


@pytest.mark.parametrize("source", [EXPLICIT, BIG])
def test_a_sequence_in_un_is_in_implicit_vr_wherever_it_is(source: Encoding) -> None:
    inner = encode((Made(0x00280010, "US", b"\1\2"),), implicit=True)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
    value = item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    order = "<" if source.little else ">"
    unknown = struct.pack(order + "HH2sHI", 9, 0x1010, b"UN", 0, 0xFFFFFFFF) + value
    rest = (Made(0x00280010, "US", b"\1\2"),)
    data = unknown + encode(rest, little=source.little)
    head = struct.pack("<HH2sHI", 9, 0x1010, b"UN", 0, 0xFFFFFFFF)
    if source == BIG:
        assert rewrite(data, source, EXPLICIT) == head + value + encode(rest)
    implicit = struct.pack("<HHI", 9, 0x1010, 0xFFFFFFFF) + value + encode(rest, implicit=True)
    assert rewrite(data, source, IMPLICIT) == implicit


def test_group_lengths_that_were_right_stay_right() -> None:
    rest = (Made(0x00080005, "CS", b"ISO_IR 100"), Made(0x0008103E, "LO", b""))
    words = (Made(0x00282000, "OB", b"profile!"),)

    def made(implicit: bool, wrong: int = 0) -> tuple[Made, ...]:
        groups = [(8, rest), (0x28, words)]
        lengths = [len(encode(group, implicit=implicit)) + wrong for _, group in groups]
        return tuple(
            one
            for (group, elements), length in zip(groups, lengths, strict=True)
            for one in (Made(group << 16, "UL", struct.pack("<I", length)), *elements)
        )

    explicit, implicit = encode(made(False)), encode(made(True), implicit=True)
    assert rewrite(explicit, EXPLICIT, IMPLICIT) == implicit
    assert rewrite(implicit, IMPLICIT, EXPLICIT) == explicit
    wrong = made(False, wrong=3)
    assert rewrite(encode(wrong), EXPLICIT, IMPLICIT) == encode(wrong, implicit=True)


def test_changes_are_made_in_their_place() -> None:
    fragments = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\2\0\0\0ab"
    pixels = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + fragments + b"\xfe\xff\xdd\xe0\0\0\0\0"
    before = (Made(0x00280004, "CS", b"YBR_RCT "), Made(0x00280010, "US", b"\1\0"))
    offsets = (Made(0x7FE00001, "OV", bytes(8)),)
    data = encode(before) + encode(offsets) + pixels
    seen: list[int] = []

    def changes(item: SequenceItem, depth: int) -> ElementChanges:
        seen.append(depth)
        assert item.find(0x7FE00010) is not None
        return {
            0x00280004: NewValue("CS", b"RGB "),
            0x00280006: NewValue("US", b"\0\0"),
            0x7FE00001: None,
            0x7FE00002: None,
            0x7FE00010: NewValue("OB", b"native"),
            0xFFFCFFFC: NewValue("OB", b""),
        }

    root = read_elements(data, EXPLICIT, deep=False)
    assert rewritten(data, root, EXPLICIT, changes) == encode(
        (
            Made(0x00280004, "CS", b"RGB "),
            Made(0x00280006, "US", b"\0\0"),
            Made(0x00280010, "US", b"\1\0"),
            Made(0x7FE00010, "OB", b"native"),
            Made(0xFFFCFFFC, "OB", b""),
        )
    )
    assert seen == [0]


def test_a_refusal_comes_through() -> None:
    def changes(_item: SequenceItem, _depth: int) -> ElementChanges:
        raise TranscodingError("no")

    data = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0"
    with pytest.raises(TranscodingError, match="no"):
        rewritten(data, read_elements(data, EXPLICIT, deep=False), EXPLICIT, changes)
