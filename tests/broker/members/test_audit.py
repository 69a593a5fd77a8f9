import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from broker.members import audit
from broker.members.audit import Entry
from broker.members.registry import Member
from p2pacs.errors import MalformedMessageError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress

ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
STUDY = StudyId(b"s" * 16)
NORTH = Member(
    address=ADDRESS,
    name="North",
    role=Role.HOSPITAL,
    uplink=None,
    downlink=None,
    read="all",
    read_version=0,
    registered=0,
    token_expires=None,
    joined=1,
    key_hash=b"",
    box_key=b"",
    endpoints=(),
    certificate_expires=1,
    linked=True,
    last_seen=None,
    revoked=None,
)


def test_entries_come_back_newest_first(connection: Connection) -> None:
    first = Entry("study granted", "North", ADDRESS, STUDY, "1.2.3", "move")
    second = Entry("sign-in", "admin", outcome=audit.REFUSED)
    audit.record(connection, first, second)
    audit.record(connection)
    assert audit.read(connection) == [second, first]
    assert audit.read(connection, uid="1.2.3") == [first]
    assert audit.read(connection, member="North") == [first]
    assert audit.read(connection, member=str(ADDRESS)) == [first]
    assert audit.read(connection, member="South") == []
    assert audit.read(connection, most=1) == [second]
    assert "1.2.3" not in repr(first)


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
    }


def test_what_a_member_reports() -> None:
    raw = msgpack.packb({"study": STUDY.raw, "caller": "WS1", "purpose": "move", "time": 1000})
    (entry,) = audit.of_report([raw], NORTH)
    assert entry == Entry("study read", "North", ADDRESS, STUDY, None, "move by WS1", time=1000)
    with pytest.raises(MalformedMessageError, match="at most"):
        audit.of_report([raw] * 1001, NORTH)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {"study": b"short", "caller": "a", "purpose": "b", "time": 1},
        {"study": STUDY.raw, "caller": "a", "purpose": "b", "time": "soon"},
        {"study": STUDY.raw, "caller": "a", "purpose": "b", "time": 2**62},
        {"study": STUDY.raw, "caller": "a", "purpose": "b"},
    ],
)
def test_what_is_no_audit_record(fields: object) -> None:
    with pytest.raises(MalformedMessageError, match="not an audit record"):
        audit.of_report([msgpack.packb(fields)], NORTH)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_record_or_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        audit.of_report([raw], NORTH)
