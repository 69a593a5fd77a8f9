import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.identity.keys import StudyKey
from p2pacs.limits import CHUNK_BYTES, PLAIN_BYTES
from p2pacs.study.seal import PASSING_SEAL_BYTES, PassingSeal, open_chunk, seal
from tests.p2pacs.study.samples import KEY


@given(st.binary(max_size=200))
def test_round_trip_and_equal_plaintexts_give_equal_chunks(plain: bytes) -> None:
    chunk = seal(KEY, plain)
    assert len(chunk) == len(plain) + 16
    assert open_chunk(KEY, chunk) == plain
    assert seal(KEY, plain) == chunk


def test_known_answer() -> None:
    """The format is frozen: docs/formats.md."""
    assert seal(KEY, b"p2pacs").hex() == KNOWN


KNOWN = "55df58c84ee119b97fd44e88c44d92c631b9f9411fe1"


def test_the_largest_chunk() -> None:
    assert len(seal(KEY, bytes(PLAIN_BYTES))) == CHUNK_BYTES
    with pytest.raises(CodingError, match="at most"):
        seal(KEY, bytes(PLAIN_BYTES + 1))


def test_another_study_has_other_chunks() -> None:
    other = StudyKey.generate()
    assert seal(other, b"plain") != seal(KEY, b"plain")
    with pytest.raises(CodingError, match="does not open"):
        open_chunk(other, seal(KEY, b"plain"))


@given(st.integers(min_value=0, max_value=8 * 21 - 1))
def test_every_flipped_bit_is_found(bit: int) -> None:
    chunk = bytearray(seal(KEY, b"plain"))
    chunk[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CodingError):
        open_chunk(KEY, bytes(chunk))


@given(st.binary(max_size=64))
def test_junk_only_raises_coding_error(junk: bytes) -> None:
    with pytest.raises(CodingError):
        open_chunk(KEY, junk)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_what_is_sealed_in_passing_opens_in_its_place_alone(
    plain: bytes, place: int, number: int
) -> None:
    passing = PassingSeal()
    sealed = passing.seal(place, number, plain)
    assert len(sealed) == len(plain) + PASSING_SEAL_BYTES
    buffer = memoryview(bytearray(len(plain)))
    passing.open_into(place, number, sealed, buffer)
    assert buffer == plain
    rotten = bytes([sealed[0] ^ 1]) + sealed[1:]
    for wrong in (
        (place ^ 1, number, sealed),
        (place, number ^ 1, sealed),
        (place, number, rotten),
        (place, number, sealed[:-1]),
        (place, number, b""),
    ):
        with pytest.raises(CodingError):
            passing.open_into(*wrong, buffer)
    with pytest.raises(CodingError):
        PassingSeal().open_into(place, number, sealed, buffer)
    with pytest.raises(CodingError):
        passing.open_into(place, number, sealed, memoryview(bytearray(len(plain) + 1)))
