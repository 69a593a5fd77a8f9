from sqlalchemy import Connection

from broker.database.db import now
from broker.members import presence, registry
from tests.broker.members.test_registry import address, join, register


def test_a_member_is_linked_while_one_of_the_brokers_has_a_link(connection: Connection) -> None:
    register(connection)
    join(connection)
    assert registry.get_member(connection, address()).last_seen is None
    one, other = address(101), address(102)
    for broker in (one, other, one):
        presence.seen(connection, broker, address(), linked=True)
    assert registry.get_member(connection, address()).state(now()) == "linked"
    assert registry.get_member(connection, address()).last_seen is not None
    presence.none_linked(connection, one)  # a start of one broker clears nothing of the other's
    assert registry.list_members(connection)[0].state(now()) == "linked"
    presence.seen(connection, other, address(), linked=False)
    assert registry.get_member(connection, address()).state(now()) == "joined"


def test_who_is_revoked_is_linked_with_nobody(connection: Connection) -> None:
    register(connection)
    join(connection)
    presence.seen(connection, address(101), address(), linked=True)
    registry.revoke(connection, address())
    assert not registry.get_member(connection, address()).linked
