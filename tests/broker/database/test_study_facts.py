from typing import Any

from sqlalchemy import Connection, event, insert

from broker.database.schema import audit, grants, studies
from broker.database.study_facts import StudyFacts, facts_of
from p2pacs.ids import StudyId

ONE, TWO, NEVER = (StudyId(bytes(15) + bytes([n])) for n in range(3))


def _asked(connection: Connection, study: StudyId, what: str, time: int) -> None:
    row = {"time": time, "actor": "North", "what": what, "detail": "", "outcome": "done"}
    connection.execute(insert(audit), {**row, "study": study.raw})


def test_what_was_published_and_asked_for(connection: Connection) -> None:
    row = {"uid": "1.2", "wrapped_key": b"", "version": 3, "complete": True, "published": 7}
    connection.execute(insert(studies), {"study": ONE.raw, **row})
    for member in (b"\xfd\x01", b"\xfd\x02"):
        row = {"study": ONE.raw, "address": member, "granted": 1}
        connection.execute(insert(grants), row)
    _asked(connection, ONE, "study granted", 10)
    _asked(connection, ONE, "study read", 12)
    _asked(connection, ONE, "study published", 99)  # nobody asked for it
    _asked(connection, TWO, "study replicated blindly", 5)
    assert facts_of(connection, [ONE, TWO, NEVER]) == {
        ONE: StudyFacts(version=3, complete=True, published=7, asked=12, entrusted=2),
        TWO: StudyFacts(asked=5),
        NEVER: StudyFacts(),
    }
    assert facts_of(connection, []) == {}


def test_a_page_of_studies_reads_no_more_of_the_trail_than_theirs(connection: Connection) -> None:
    """Not the index of what was done, of which the trail may have a million entries."""
    asked: list[tuple[str, Any]] = []

    def seen(_connection: Connection, _cursor: Any, sql: str, values: Any, *_more: Any) -> None:
        asked.append((sql, values))

    event.listen(connection, "before_cursor_execute", seen)
    facts_of(connection, [ONE, TWO])
    event.remove(connection, "before_cursor_execute", seen)
    ((sql, values),) = [one for one in asked if "FROM audit" in one[0]]
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
    assert "ix_audit_study" in str(plan)
    assert "ix_audit_what" not in str(plan)
