import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.ids import ChunkId, StudyId, VirtualAddress

sixteen = st.binary(min_size=16, max_size=16)


@given(sixteen)
def test_text_round_trip(raw: bytes) -> None:
    assert StudyId.parse(str(StudyId(raw))) == StudyId(raw)
    address = VirtualAddress(b"\xfd" + raw[1:])
    assert VirtualAddress.parse(str(address)) == address


def test_chunk_id_is_sha256() -> None:
    # FIPS 180-4 test vector
    assert str(ChunkId.of(b"abc")).startswith("ba7816bf8f01cfea")


def test_study_id_hides_the_uid() -> None:
    first, second = StudyId.derive(b"a" * 32, "1.2.3"), StudyId.derive(b"b" * 32, "1.2.3")
    assert first != second
    assert first == StudyId.derive(b"a" * 32, "1.2.3")
    assert str(first).startswith(first.short)


def test_kinds_do_not_mix() -> None:
    assert StudyId(bytes([0xFD] * 16)) != VirtualAddress(bytes([0xFD] * 16))


def test_ids_are_immutable_and_ordered() -> None:
    low, high = StudyId(bytes(16)), StudyId(b"\xff" * 16)
    assert sorted([high, low]) == [low, high]
    with pytest.raises(AttributeError):
        low.raw = b""


@pytest.mark.parametrize("text", ["", "zz", "00" * 15, "fe80::1", "10.0.0.1"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        StudyId.parse(text)
    with pytest.raises(UsageError):
        VirtualAddress.parse(text)
