import msgpack
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs import limits
from p2pacs.errors import AuthenticationError, DirectoryError, RevokedError, UsageError
from p2pacs.identity.directory import (
    PURPOSE,
    BrokerKey,
    Directory,
    MemberRecord,
    Remote,
    Role,
    load_directory,
    sign_directory,
)
from p2pacs.identity.keys import Secret, SigningKey
from p2pacs.ids import VirtualAddress

KEY = SigningKey(Secret(bytes(32)))


def address(number: int) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + number.to_bytes(15, "big"))


def record(number: int) -> MemberRecord:
    return MemberRecord(
        address(number), f"m{number}", Role.HOSPITAL, ("h:1",), bytes(32), b"b" * 32
    )


records = st.builds(
    MemberRecord,
    address=st.binary(min_size=15, max_size=15).map(lambda raw: VirtualAddress(b"\xfd" + raw)),
    name=st.text(min_size=1, max_size=limits.NAME),
    role=st.sampled_from(Role),
    endpoints=st.lists(st.text(min_size=1, max_size=30), max_size=3).map(tuple),
    key_hash=st.binary(min_size=32, max_size=32),
    box_key=st.binary(min_size=32, max_size=32),
    revoked=st.booleans(),
)
directories = st.builds(
    Directory,
    version=st.integers(0, 2**63),
    epoch=st.integers(0, 2**63),
    members=st.lists(records, max_size=5, unique_by=lambda one: one.address).map(tuple),
)


@given(directories, st.binary(min_size=32, max_size=32))
def test_a_directory_comes_back(directory: Directory, signing_key: bytes) -> None:
    keys = tuple(BrokerKey(broker, signing_key) for broker in sorted(directory.brokers))
    directory = evolve(directory, broker_keys=keys)
    assert load_directory(sign_directory(directory, KEY), KEY.public) == directory


def test_a_directory_of_version_0_1_is_read() -> None:
    member = [bytes(address(1)), "m1", "broker", ["h:1"], bytes(32), b"b" * 32, False]
    body = msgpack.packb([1, 7, 2, [member]])
    directory = load_directory(KEY.sign(body, PURPOSE) + body, KEY.public)
    assert directory == Directory(7, 2, (evolve(record(1), role=Role.BROKER),))
    assert directory.brokers == {address(1)}


@pytest.mark.parametrize(
    "key",
    [
        [bytes(address(1)), b"short"],
        [bytes(16), bytes(32)],
        [bytes(address(1))],
        [bytes(address(2)), bytes(32)],  # a hospital
        "key",
    ],
)
def test_a_key_of_a_broker_that_is_none(key: object) -> None:
    rows = [
        [bytes(address(number)), f"m{number}", role, [], bytes(32), bytes(32), False]
        for number, role in ((1, "broker"), (2, "hospital"))
    ]
    body = msgpack.packb([2, 7, 2, rows, [key]])
    with pytest.raises(DirectoryError, match="malformed"):
        load_directory(KEY.sign(body, PURPOSE) + body, KEY.public)


@given(st.binary(max_size=200))
def test_arbitrary_signed_bytes_raise_directory_errors_only(body: bytes) -> None:
    with pytest.raises(DirectoryError):
        load_directory(KEY.sign(body, PURPOSE) + body, KEY.public)


@given(directories, st.data())
def test_damaged_directories_raise_directory_errors_only(
    directory: Directory, data: st.DataObject
) -> None:
    body = bytearray(sign_directory(directory, KEY)[64:])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    raw = KEY.sign(bytes(body), PURPOSE) + bytes(body)
    try:
        assert isinstance(load_directory(raw, KEY.public), Directory)
    except DirectoryError as error:
        assert "malformed" in str(error)  # noqa: PT017  # either outcome is right


def test_only_the_brokers_signature_counts() -> None:
    raw = sign_directory(Directory(1, 0, (record(1),)), KEY)
    for bad in (b"", raw[:63], raw[:-1], raw + b"x", bytes(64) + raw[64:]):
        with pytest.raises(DirectoryError):
            load_directory(bad, KEY.public)
    with pytest.raises(DirectoryError, match="not signed by the broker"):
        load_directory(raw, SigningKey.generate().public)
    with pytest.raises(DirectoryError):
        load_directory(KEY.sign(raw[64:], b"another purpose") + raw[64:], KEY.public)


MEMBER = [bytes(address(1)), "a", "replica", ["h:1"], bytes(32), bytes(32), False]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [1, 1, 0],
        [2, 1, 0, []],
        [1, -1, 0, []],
        [1, True, 0, []],
        [1, 1, 1.5, []],
        [1, 1, 0, {}],
        [1, 1, 0, [MEMBER, MEMBER]],
        [1, 1, 0, [MEMBER[:-1]]],
        [1, 1, 0, [[*MEMBER[:-1], 1]]],
        [1, 1, 0, [[*MEMBER[:2], "king", *MEMBER[3:]]]],
        [1, 1, 0, [[bytes(16), *MEMBER[1:]]]],
        [1, 1, 0, [[bytes(15), *MEMBER[1:]]]],
        [1, 1, 0, [[MEMBER[0], "", *MEMBER[2:]]]],
        [1, 1, 0, [[MEMBER[0], "n" * 65, *MEMBER[2:]]]],
        [1, 1, 0, [[*MEMBER[:3], ["h:1"] * 17, *MEMBER[4:]]]],
        [1, 1, 0, [[*MEMBER[:3], [b"h:1"], *MEMBER[4:]]]],
        [1, 1, 0, [[*MEMBER[:4], bytes(31), *MEMBER[5:]]]],
        [1, 1, 0, [None] * (limits.MEMBERS + 1)],
    ],
)
def test_malformed_directories(fields: list[object]) -> None:
    body = msgpack.packb(fields)
    with pytest.raises(DirectoryError, match="malformed"):
        load_directory(KEY.sign(body, PURPOSE) + body, KEY.public)


def test_what_nobody_would_load_is_not_signed() -> None:
    with pytest.raises(UsageError):
        sign_directory(Directory(1, 0, (record(1), record(1))), KEY)
    many = tuple(record(number) for number in range(limits.MEMBERS))
    assert len(sign_directory(Directory(1, 0, many), KEY)) < limits.DIRECTORY_BYTES
    with pytest.raises(UsageError):
        sign_directory(Directory(1, 0, (*many, record(5000))), KEY)
    long = tuple(evolve(one, name="é" * 64, endpoints=("h" * 300,)) for one in many)
    with pytest.raises(UsageError, match="too long"):
        sign_directory(Directory(1, 0, long), KEY)


def test_a_channel_is_checked_by_address_key_and_revocation() -> None:
    revoked = evolve(record(2), revoked=True)
    directory = Directory(1, 1, (record(1), revoked))
    assert directory.check(Remote(address(1), bytes(32))) == record(1)
    assert directory.get(address(2)) == revoked
    assert directory.get(address(3)) is None
    with pytest.raises(AuthenticationError, match="not in the member directory"):
        directory.check(Remote(address(3), bytes(32)))
    with pytest.raises(AuthenticationError, match="key that is not in the directory"):
        directory.check(Remote(address(1), b"k" * 32))
    with pytest.raises(RevokedError, match="m2"):
        directory.check(Remote(address(2), bytes(32)))
