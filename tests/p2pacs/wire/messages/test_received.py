import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import MalformedMessageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.wire.messages.received import HOUR, MOST_BYTES, Received, is_received, unpack_received

GOOD = Received(5 * HOUR, StudyId(bytes(16)), VirtualAddress(b"\xfd" + bytes(15)), 7, 1)


@given(
    st.builds(
        Received,
        st.integers(0, 10**6).map(lambda n: n * HOUR),
        st.binary(min_size=16, max_size=16).map(StudyId),
        st.binary(min_size=15, max_size=15).map(lambda raw: VirtualAddress(b"\xfd" + raw)),
        st.integers(0, MOST_BYTES),
        st.integers(0, 2**50),
    )
)
def test_what_is_packed_is_unpacked(received: Received) -> None:
    assert is_received(received.packed())
    assert unpack_received(received.packed()) == received


@given(st.binary(max_size=200))
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        unpack_received(raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bytes": -1},
        {"bytes": MOST_BYTES + 1},
        {"bytes": 1.0},
        {"bytes": True},
        {"hour": HOUR + 1},
        {"serial": 2**63},
        {"giver": b"\xfe" + bytes(15)},
        {"received": b"short"},
        {"received": [1]},
    ],
)
def test_each_field_is_checked(wrong: dict[str, object]) -> None:
    fields = msgpack.unpackb(GOOD.packed()) | wrong
    with pytest.raises(MalformedMessageError):
        unpack_received(msgpack.packb(fields))


def test_a_read_is_none() -> None:
    assert not is_received(msgpack.packb({"study": bytes(16), "caller": "a", "purpose": "b"}))
