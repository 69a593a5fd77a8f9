from sqlalchemy import Connection, insert, update

from broker.database.recipients import (
    AddressChanges,
    add_recipient,
    address,
    addressed_among,
    addressed_by,
    end_recipient,
    list_due,
    list_ends,
    list_recipients,
    note_end,
    note_told,
    stop_fetching,
)
from broker.database.schema import studies
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority

STUDY, OTHER, THIRD = (StudyId(bytes(15) + bytes([one])) for one in range(3))
NORTH, SOUTH, EAST = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(3))
STAT, ROUTINE = Priority.STAT, Priority.INTERACTIVE


def to(
    connection: Connection, *members: VirtualAddress, priority: Priority = ROUTINE
) -> AddressChanges:
    return address(connection, STUDY, members, priority, sender=NORTH, actor="North")


def out(connection: Connection, version: int, *, complete: bool, of: StudyId = STUDY) -> None:
    row = {"uid": of.raw.hex(), "wrapped_key": b"", "version": version, "complete": complete}
    changed = connection.execute(
        update(studies).where(studies.c.study == of.raw).values(version=version, complete=complete)
    )
    if not changed.rowcount:
        connection.execute(insert(studies).values(study=of.raw, **row))


def due(connection: Connection) -> list[tuple[VirtualAddress, int]]:
    return [(one.member, one.version) for one in list_due(connection, study=STUDY)]


def told(connection: Connection) -> None:
    for one in list_due(connection, study=STUDY):
        note_told(connection, one)


def test_what_is_said_last_counts(connection: Connection) -> None:
    assert to(connection, SOUTH) == AddressChanges(added=frozenset({SOUTH}))
    assert not to(connection, SOUTH)
    changes = to(connection, EAST)
    assert changes == AddressChanges(added=frozenset({EAST}), ended=frozenset({SOUTH}))
    assert to(connection, EAST, priority=STAT) == AddressChanges(urged=frozenset({EAST}))
    (one,) = list_recipients(connection, STUDY)
    assert (one.member, one.sender, one.actor, one.priority) == (EAST, NORTH, "North", STAT)
    assert addressed_by(connection, STUDY, EAST) == "North"
    assert addressed_by(connection, STUDY, SOUTH) is None
    assert addressed_among(connection, SOUTH, [STUDY, OTHER]) == {STUDY: False}
    assert addressed_among(connection, EAST, [STUDY, OTHER]) == {STUDY: True}
    assert to(connection, SOUTH, EAST, priority=STAT) == AddressChanges(added=frozenset({SOUTH}))


def test_what_an_administrator_said_is_not_undone_by_the_sender(connection: Connection) -> None:
    address(connection, STUDY, [SOUTH], ROUTINE, sender=None, actor="admin")
    assert not to(connection, SOUTH, priority=STAT)
    assert to(connection).ended == frozenset()
    assert [one.actor for one in list_recipients(connection, STUDY)] == ["admin"]


def test_a_member_is_told_of_the_first_version_and_of_those_that_are_whole(
    connection: Connection,
) -> None:
    to(connection, SOUTH)
    assert due(connection) == []
    out(connection, 1, complete=False)
    assert due(connection) == [(SOUTH, 1)]
    told(connection)
    out(connection, 2, complete=False)
    assert due(connection) == []
    out(connection, 3, complete=True)
    assert due(connection) == [(SOUTH, 3)]
    told(connection)
    assert due(connection) == []
    to(connection, SOUTH, priority=STAT)
    assert due(connection) == [(SOUTH, 3)]
    to(connection)
    assert due(connection) == []


def test_an_order_that_became_more_urgent_meanwhile_is_due_again(connection: Connection) -> None:
    to(connection, SOUTH)
    out(connection, 1, complete=True)
    (order,) = list_due(connection, study=STUDY)
    to(connection, SOUTH, priority=STAT)
    note_told(connection, order)
    assert due(connection) == [(SOUTH, 1)]


def test_the_most_urgent_comes_first(connection: Connection) -> None:
    said: list[tuple[StudyId, Priority]] = [(STUDY, ROUTINE), (OTHER, STAT), (THIRD, ROUTINE)]
    for study, priority in said:
        address(connection, study, [SOUTH], priority, sender=NORTH, actor="North")
        out(connection, 1, complete=True, of=study)
    found = [one.study for one in list_due(connection, member=SOUTH)]
    assert found[0] == OTHER
    assert set(found) == {STUDY, OTHER, THIRD}
    assert list_due(connection, member=EAST) == []


def test_an_administrator_takes_over_and_ends_whatever_address_there_is(
    connection: Connection,
) -> None:
    to(connection, SOUTH)
    add_recipient(connection, STUDY, SOUTH, STAT, actor="admin")
    assert not to(connection)  # it is not the sender's any more
    assert addressed_by(connection, STUDY, SOUTH) == "admin"
    to(connection, EAST)
    assert end_recipient(connection, STUDY, EAST)
    assert not end_recipient(connection, STUDY, EAST)
    assert end_recipient(connection, STUDY, SOUTH)
    assert addressed_among(connection, EAST, [STUDY]) == {STUDY: False}
    assert list_recipients(connection, STUDY) == []


def ends(connection: Connection) -> list[tuple[VirtualAddress, bool]]:
    return [(one.member, one.is_cancelled) for one in list_ends(connection, study=STUDY)]


def test_who_shall_not_fetch_it_any_more_is_told_until_it_is_noted(connection: Connection) -> None:
    to(connection, SOUTH, EAST)
    out(connection, 1, complete=True)
    told(connection)
    to(connection, EAST)
    assert ends(connection) == [(SOUTH, False)]
    assert not list_ends(connection, member=EAST)
    to(connection, SOUTH, EAST)  # addressed again: nothing to end
    assert not ends(connection)
    stop_fetching(connection, STUDY)
    assert ends(connection) == [(SOUTH, False), (EAST, False)]
    for one in list_ends(connection, member=SOUTH):
        note_end(connection, one)
    assert ends(connection) == [(EAST, False)]
    told(connection)  # an order is a later word
    assert not ends(connection)
