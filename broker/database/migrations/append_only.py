"""The audit trail is append-only: the database itself refuses every change of what is written."""

from __future__ import annotations

from typing import Final

from alembic import op

_SAYS: Final = "the audit trail is append-only"

_SQLITE: Final = {
    change: f"""
CREATE TRIGGER audit_refuses_{change} BEFORE {change} ON audit
BEGIN SELECT RAISE(ABORT, '{_SAYS}'); END
"""
    for change in ("UPDATE", "DELETE")
}

_FUNCTION: Final = f"""
CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{_SAYS}'; END
$$
"""

_POSTGRESQL: Final = {
    change: f"""
CREATE TRIGGER audit_refuses_{change} BEFORE {change} ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()
"""
    for change in ("UPDATE", "DELETE", "TRUNCATE")
}


def refuse_changes() -> None:
    """Make the triggers; the table is there."""
    if _is_postgresql():
        op.execute(_FUNCTION)
    for trigger in (_POSTGRESQL if _is_postgresql() else _SQLITE).values():
        op.execute(trigger)


def allow_updates() -> None:
    """Until `refuse_updates`, in the same transaction: a migration fills in what is new."""
    on_table = " ON audit" if _is_postgresql() else ""  # names are a table's own, or a schema's
    op.execute(f"DROP TRIGGER audit_refuses_UPDATE{on_table}")


def refuse_updates() -> None:
    """As before `allow_updates`."""
    op.execute((_POSTGRESQL if _is_postgresql() else _SQLITE)["UPDATE"])


def drop_function() -> None:
    """What is left when the table and its triggers are gone."""
    if _is_postgresql():
        op.execute("DROP FUNCTION audit_refuses()")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
