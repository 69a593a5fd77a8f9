import pytest
from attrs import evolve
from sqlalchemy import Connection

from broker.database.db import read_counter
from broker.members import corrections, registry
from broker.members.corrections import Correction
from broker.members.registry import Member
from p2pacs.errors import (
    AuthenticationError,
    NotFoundError,
    RevokedError,
    StateError,
    UsageError,
)
from p2pacs.identity.directory import Role
from tests.broker.members.test_registry import address, join, register

AS_IT_IS = Correction("North", Role.HOSPITAL, 800_000, 3_000_000)


def _member(connection: Connection) -> Member:
    return registry.get_member(connection, address())


def test_everything_can_be_corrected_before_joining(connection: Connection) -> None:
    register(connection)
    wanted = Correction("North General", Role.REPLICA, None, 5_000_000)
    changed = corrections.correct(connection, _member(connection), wanted)
    assert changed == (
        "name: North → North General; role: hospital → replica; uplink: 800kbit → no limit;"
        " downlink: 3mbit → 5mbit; may read: Modality=CT → none"
    )
    member = _member(connection)
    assert (member.name, member.role, member.uplink) == ("North General", Role.REPLICA, None)
    assert member.read == "none"
    assert corrections.correct(connection, member, wanted) == ""


def test_the_usual_rule_follows_the_role(connection: Connection) -> None:
    register(connection)
    registry.change_rule(connection, address(), "all")
    wanted = evolve(AS_IT_IS, role=Role.REPLICA)
    assert "may read: all → none" in corrections.correct(connection, _member(connection), wanted)
    assert _member(connection).read == "none"


def test_after_joining_the_name_alone(connection: Connection) -> None:
    register(connection)
    join(connection)
    before = read_counter(connection, registry.DIRECTORY)
    renamed = evolve(AS_IT_IS, name="north")
    assert corrections.correct(connection, _member(connection), renamed) == "name: North → north"
    assert read_counter(connection, registry.DIRECTORY) > before
    for wanted in (evolve(renamed, uplink=None), evolve(renamed, role=Role.REPLICA)):
        with pytest.raises(StateError, match="has joined"):
            corrections.correct(connection, _member(connection), wanted)


@pytest.mark.parametrize("name", ["", "South", "SOUTH", "broker", "x" * 65])
def test_names_that_cannot_be(connection: Connection, name: str) -> None:
    register(connection)
    register(connection, "South", 2)
    wanted = evolve(AS_IT_IS, name=name)
    with pytest.raises(UsageError, match="name: "):
        corrections.correct(connection, _member(connection), wanted, reserved="broker")


def test_what_was_revoked_stays(connection: Connection) -> None:
    register(connection)
    join(connection)
    registry.revoke(connection, address())
    with pytest.raises(RevokedError):
        corrections.correct(connection, _member(connection), evolve(AS_IT_IS, name="South"))


def test_what_never_joined_can_be_deleted(connection: Connection) -> None:
    secret = register(connection)
    corrections.remove(connection, _member(connection))
    with pytest.raises(NotFoundError):
        _member(connection)
    with pytest.raises(AuthenticationError):
        registry.redeem(connection, secret)
    register(connection, "North", 2)
    register(connection, "South")
    join(connection)
    with pytest.raises(StateError, match="only be revoked"):
        corrections.remove(connection, _member(connection))


def test_a_change_is_made_to_what_was_seen(connection: Connection) -> None:
    register(connection)
    seen = _member(connection)
    corrections.check_version(seen, None)
    corrections.check_version(seen, seen.version)
    corrections.touch(connection, address())
    with pytest.raises(StateError, match="changed by somebody else"):
        corrections.check_version(_member(connection), seen.version)
