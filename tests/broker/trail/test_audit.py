import pytest
from sqlalchemy import Connection

from broker.config import DAY
from broker.members import registry
from broker.members.registry import Registration
from broker.trail import audit
from broker.trail.audit import Entry
from p2pacs.errors import NotFoundError, StudyNotFoundError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress

ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
STUDY = StudyId(b"s" * 16)


def test_entries_come_back_newest_first(connection: Connection) -> None:
    first = Entry("study granted", "North", ADDRESS, STUDY, "1.2.3", "move")
    second = Entry("sign-in", "admin", outcome=audit.REFUSED)
    audit.record(connection, first, second)
    audit.record(connection)
    assert audit.read(connection) == [second, first]
    assert audit.read(connection, uid="1.2.3") == [first]
    assert audit.read(connection, member="North") == [first]
    assert audit.read(connection, member=str(ADDRESS)) == [first]
    with pytest.raises(NotFoundError, match="nobody called 'South'"):
        audit.read(connection, member="South")
    assert audit.read(connection, most=1) == [second]
    assert "1.2.3" not in repr(first)


def test_what_was_done_to_a_member_is_found_with_it(connection: Connection) -> None:
    registration = Registration("North", Role.HOSPITAL, None, None, "all")
    registry.register(connection, ADDRESS, registration, token_milliseconds=DAY * 1000)
    assert audit.read(connection, member="North") == []
    own = Entry("study read", "North", ADDRESS)
    done = Entry("member revoked", "anna", about=ADDRESS, detail="North")
    other = Entry("member revoked", "anna", about=VirtualAddress(b"\xfd" + bytes(14) + b"o"))
    before = Entry("study granted", "North")
    audit.record(connection, own, done, other, before)
    assert audit.read(connection, member="North") == [before, done, own]
    assert audit.read(connection, member=str(ADDRESS)) == [done, own]
    assert audit.read(connection, member=" anna ") == [other, done]


def test_what_is_shown_of_the_trail_cannot_act(connection: Connection) -> None:
    audit.record(connection, Entry("study read", "No\u202erth", detail="move by \x1b[2J\nroot"))
    (shown,) = audit.read(connection)
    assert shown.actor == "No\\u202erth"
    assert shown.detail == "move by \\x1b[2J\\x0aroot"


def test_an_entry_as_json() -> None:
    entry = Entry("study read", "North", ADDRESS, STUDY, "1.2.3", "move by WS1", time=0)
    assert audit.as_json(entry) == {
        "when": "1970-01-01T00:00:00Z",
        "actor": "North",
        "address": "fd00::",
        "what": "study read",
        "study": "73" * 16,
        "study_instance_uid": "1.2.3",
        "detail": "move by WS1",
        "outcome": "done",
        "about": None,
    }


def test_a_study_that_is_not_in_the_trail(connection: Connection) -> None:
    with pytest.raises(StudyNotFoundError) as wrong:
        audit.read(connection, uid="1.2.3")
    assert "1.2.3" not in str(wrong.value)
    audit.record(connection, Entry("study granted", "North", ADDRESS, STUDY, "1.2.3"))
    assert len(audit.read(connection, uid="1.2.3")) == 1
