import msgpack
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from broker.database.db import now
from broker.handlers.reported_reads import Reported, keep_reported, of_report
from broker.members.registry import Member
from broker.trail import audit
from broker.trail.audit import Entry
from p2pacs.errors import MalformedMessageError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import TEXT

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


def test_what_a_member_reports() -> None:
    (reported,) = of_report([_record(time=1000)], NORTH)
    entry = Entry("study read", "North", ADDRESS, STUDY, None, "move by WS1", time=1000)
    assert reported == Reported(entry, believed=True)
    with pytest.raises(MalformedMessageError, match="at most"):
        of_report([_record(time=1000)] * 101, NORTH)


@pytest.mark.parametrize(
    ("purpose", "caller", "said"),
    [
        ("looked at on the page", "rita", "looked at on the page by rita"),
        ("command", "command", "by command"),
        ("command, stat", "command", "by command, stat"),
        ("C-MOVE to WS1", "command", "C-MOVE to WS1 by command"),
        ("commander", "command", "commander by command"),
    ],
)
def test_a_read_by_command_is_told_once(purpose: str, caller: str, said: str) -> None:
    (reported,) = of_report([_record(time=1000, caller=caller, purpose=purpose)], NORTH)
    assert reported.entry.detail == said


@pytest.mark.parametrize(
    ("outcome", "sent"), [("done", 40), ("failed", 0), ("failed", 39), ("interrupted", 2)]
)
def test_how_a_read_ended_is_told_with_its_counts(outcome: str, sent: int) -> None:
    long = "W" * 2000
    for time, caller in [(1000, "WS1"), (253402300799000, long)]:
        raw = _record(time=time, caller=caller, outcome=outcome, sent=sent, total=40)
        (reported,) = of_report([raw], NORTH)
        assert reported.entry.outcome == outcome
        assert f": {sent} of 40 instances" in reported.entry.detail
        assert len(reported.entry.detail) <= TEXT


def _record(*, time: int, caller: str = "WS1", **ending: object) -> bytes:
    fields = {"study": STUDY.raw, "caller": caller, "purpose": "move", "time": time, **ending}
    packed: bytes = msgpack.packb(fields)
    return packed


@pytest.mark.parametrize(
    ("time", "said"), [(0, "1970-01-01T00:00:00Z"), (253402300799000, "9999-12-31T23:59:59Z")]
)
def test_times_that_cannot_be_are_not_believed(
    connection: Connection, time: int, said: str
) -> None:
    member = evolve(NORTH, registered=now() - 1000)
    before = now()
    for _ in range(2):
        report = of_report([_record(time=time, caller="W" * 2000)], member)
        keep_reported(connection, ADDRESS, report)
    (entry,) = audit.read(connection)
    assert before <= entry.time <= now()
    assert entry.detail.endswith(f"(its clock said {said}, {time})")
    assert len(entry.detail) <= TEXT


def test_a_report_is_kept_once_entry_by_entry(connection: Connection) -> None:
    times = [now() + number for number in range(50)]
    first = of_report([_record(time=time) for time in times[:30] + times[:5]], NORTH)
    keep_reported(connection, ADDRESS, first)
    assert [entry.time for entry in reversed(audit.read(connection))] == times[:30]
    keep_reported(
        connection, ADDRESS, of_report([_record(time=time) for time in times[20:]], NORTH)
    )
    assert [entry.time for entry in reversed(audit.read(connection))] == times


def test_a_report_is_compared_by_an_index(connection: Connection) -> None:
    said = "SELECT study, detail, time FROM audit WHERE address = x'fd' AND time IN (1, 2)"
    plan = connection.execute(text(f"EXPLAIN QUERY PLAN {said}"))
    assert "ix_audit_address" in str(plan.all())


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {"study": b"short", "caller": "a", "purpose": "b", "time": 1},
        {"study": STUDY.raw, "caller": "a", "purpose": "b", "time": "soon"},
        {"study": STUDY.raw, "caller": "a", "purpose": "b", "time": 2**62},
        {"study": STUDY.raw, "caller": "a", "purpose": "b"},
        *(
            {"study": STUDY.raw, "caller": "a", "purpose": "b", "time": 1, **ending}
            for ending in (
                {"outcome": "done"},
                {"outcome": "well", "sent": 1, "total": 1},
                {"outcome": ["done"], "sent": 1, "total": 1},
                {"outcome": "done", "sent": -1, "total": 1},
                {"outcome": "done", "sent": 1, "total": "all"},
                {"outcome": "done", "sent": 1 << 40, "total": 1},
            )
        ),
    ],
)
def test_what_is_no_audit_record(fields: object) -> None:
    with pytest.raises(MalformedMessageError, match="not an audit record"):
        of_report([msgpack.packb(fields)], NORTH)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_record_or_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        of_report([raw], NORTH)
