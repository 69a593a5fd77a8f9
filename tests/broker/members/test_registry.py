import pytest
from sqlalchemy import Connection, insert, select

from broker.database.db import now, read_counter
from broker.database.schema import members
from broker.members import registry
from broker.members.registry import Registration
from p2pacs.errors import AuthenticationError, NotFoundError, RevokedError, UsageError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import Secret
from p2pacs.ids import VirtualAddress
from p2pacs.limits import MEMBERS

DAY_MS = 24 * 3600 * 1000


def address(number: int = 1) -> VirtualAddress:
    return VirtualAddress(b"\xfd" + bytes(14) + bytes([number]))


def register(connection: Connection, name: str = "North", number: int = 1) -> Secret:
    registration = Registration(name, Role.HOSPITAL, 800_000, 3_000_000, "Modality=CT")
    return registry.register(
        connection, address(number), registration, token_milliseconds=7 * DAY_MS, reserved="broker"
    )


def join(connection: Connection) -> None:
    registry.join(
        connection,
        address(),
        key_hash=b"k" * 32,
        box_key=b"b" * 32,
        endpoints=["10.0.0.1:1", "10.0.0.2:2"],
        certificate_expires=now() + DAY_MS,
    )


def test_from_registered_to_revoked(connection: Connection) -> None:
    secret = register(connection)
    member = registry.find_member(connection, "North")
    assert member.state(now()) == "registered"
    assert member.state(now() + 8 * DAY_MS) == "expired"
    assert registry.redeem(connection, secret).address == address()
    assert read_counter(connection, registry.DIRECTORY) == 0
    join(connection)
    member = registry.find_member(connection, str(address()))
    assert member.endpoints == ("10.0.0.1:1", "10.0.0.2:2")
    assert member.state(now()) == "joined"
    assert member.state(now() + 2 * DAY_MS) == "expired"
    joined = read_counter(connection, registry.DIRECTORY)
    assert joined > 0
    assert registry.revoke(connection, address())
    assert not registry.revoke(connection, address())
    assert read_counter(connection, registry.DIRECTORY) > joined
    assert read_counter(connection, registry.EPOCH) > 0
    assert registry.get_member(connection, address()).state(now()) == "revoked"


def test_only_the_hash_of_a_token_is_kept(connection: Connection) -> None:
    secret = register(connection)
    row = connection.execute(select(members)).one()
    assert row.token_hash == registry.hash_secret(secret)
    assert all(secret.reveal() != value for value in row)


def test_a_token_is_good_once(connection: Connection) -> None:
    secret = register(connection)
    registry.redeem(connection, secret)
    with pytest.raises(AuthenticationError, match="used already"):
        registry.redeem(connection, secret)


def test_a_wrong_an_old_or_a_replaced_token_is_refused(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(connection)
    with pytest.raises(AuthenticationError):
        registry.redeem(connection, Secret(b"x" * 16))
    second = registry.renew_token(connection, address(), token_milliseconds=DAY_MS)
    with pytest.raises(AuthenticationError):
        registry.redeem(connection, first)
    later = now() + DAY_MS
    monkeypatch.setattr(registry, "now", lambda: later)
    with pytest.raises(AuthenticationError):
        registry.redeem(connection, second)


def test_a_revoked_member_gets_no_token(connection: Connection) -> None:
    secret = register(connection)
    registry.revoke(connection, address())
    with pytest.raises(AuthenticationError):
        registry.redeem(connection, secret)
    with pytest.raises(RevokedError, match="another name"):
        registry.renew_token(connection, address(), token_milliseconds=DAY_MS)


@pytest.mark.parametrize("name", ["North", "NORTH", " North ", "Broker"])
def test_names_are_unique(connection: Connection, name: str) -> None:
    register(connection)
    with pytest.raises(UsageError, match="name: there is a member"):
        register(connection, name, 2)


def fill(connection: Connection, room: int) -> None:
    """Registers so many members that there is room for a few more."""
    row = {
        "role": Role.HOSPITAL.value,
        "read": "none",
        "read_version": 0,
        "registered": 0,
        "token_expires": 0,
        "endpoints": "",
    }
    rows = []
    for number in range(MEMBERS - 1 - room):  # the broker is one, too
        own = b"\xfd\xff" + number.to_bytes(14, "big")  # a virtual address
        rows.append(row | {"name": f"F{number}", "address": own, "token_hash": own * 2})
    connection.execute(insert(members), rows)


def test_a_network_may_be_full(connection: Connection) -> None:
    fill(connection, room=1)
    register(connection)
    with pytest.raises(UsageError, match=f"at most {MEMBERS} members"):
        register(connection, "South", 2)


@pytest.mark.parametrize(
    ("name", "role", "uplink", "read", "complaint"),
    [
        ("", Role.HOSPITAL, 1, "all", "name: "),
        ("a" * 65, Role.HOSPITAL, 1, "all", "name: "),
        ("a\nb", Role.HOSPITAL, 1, "all", "name: "),
        ("a", Role.BROKER, 1, "all", "role: "),
        ("a", Role.REPLICA, 0, "none", "uplink"),
        ("a", Role.REPLICA, None, "all", "a replica reads nothing"),
        ("a", Role.REPLICA, None, "Modality=CT", "a replica reads nothing"),
        ("a", Role.REPLICA, None, "some", "read rule, position 1"),
    ],
)
def test_what_cannot_be_registered(
    name: str, role: Role, uplink: int | None, read: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        Registration(name, role, uplink, None, read)


def test_a_changed_rule_starts_the_catalogue_anew(connection: Connection) -> None:
    register(connection)
    registry.change_rule(connection, address(), "Modality=CT")
    assert registry.get_member(connection, address()).read_version == 0
    registry.change_rule(connection, address(), "none")
    member = registry.get_member(connection, address())
    assert (member.read, member.read_version) == ("none", 1)
    with pytest.raises(UsageError, match="position 1"):
        registry.change_rule(connection, address(), "some")


def test_a_replica_gets_no_rule_but_none(connection: Connection) -> None:
    copy = Registration("Copy", Role.REPLICA, None, None, " None ")
    registry.register(connection, address(), copy, token_milliseconds=7 * DAY_MS)
    for read in ("all", "ALL", "Modality=CT"):
        with pytest.raises(UsageError, match=r"a replica reads nothing.*registered as a hospital"):
            registry.change_rule(connection, address(), read)
    registry.change_rule(connection, address(), "none")
    assert registry.get_member(connection, address()).read == "none"


def test_a_revoked_member_gets_no_rule(connection: Connection) -> None:
    register(connection)
    registry.revoke(connection, address())
    with pytest.raises(RevokedError, match="North was revoked: it reads nothing any more"):
        registry.change_rule(connection, address(), "none")
    assert registry.get_member(connection, address()).read == "Modality=CT"


@pytest.mark.parametrize("name", ["South", "fd00::9", "10.0.0.1", ""])
def test_nobody_by_that_name(connection: Connection, name: str) -> None:
    register(connection)
    with pytest.raises(NotFoundError, match="p2pacs broker members"):
        registry.find_member(connection, name)


def test_members_are_listed_by_name(connection: Connection) -> None:
    for number, name in enumerate(["b", "A", "c"], 1):
        register(connection, name, number)
    assert [member.name for member in registry.list_members(connection)] == ["A", "b", "c"]
