"""The audit trail is searched by time, person, action and outcome; who received what from whom.

The person of a read stood in its detail alone: ``C-MOVE to WS1 by VIEWER: 3 of 4 instances``.
"""

import re

import sqlalchemy as sa
from alembic import op

from broker.database.migrations.append_only import allow_updates, refuse_updates

revision = "0013"
down_revision = "0012"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 1000

_BY = re.compile(
    r"(?!by command\b).* by (?P<person>.+?)"
    r"(?:: \d+ of \d+ instances)?(?: \(its clock said [^)]*\))?"
)

_INDEXES = {
    "time": ["time", "id"],
    "person": ["person", "time", "id"],
    "actor": ["actor", "time", "id"],
    "address": ["address", "time", "id"],
    "about": ["about", "time", "id"],
    "what": ["what", "time", "id"],
    "outcome": ["outcome", "time", "id"],
    "study": ["study"],
}
_BEFORE = {"actor": ["actor"], "address": ["address", "time"], "about": ["about"]}


def upgrade() -> None:
    """Build what is new, and fill in the persons of what is there."""
    for name in _BEFORE:
        op.drop_index(f"ix_audit_{name}", table_name="audit")
    op.add_column("audit", sa.Column("person", sa.String(), nullable=True))
    allow_updates()
    op.execute("UPDATE audit SET person = actor WHERE address IS NULL AND actor <> '-'")
    _fill_readers()
    refuse_updates()
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_audit_{name}", "audit", columns)
    op.create_table(
        "traffic",
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("at", _LONG, nullable=False, autoincrement=False),
        sa.Column("receiver", sa.LargeBinary(), nullable=False),
        sa.Column("giver", sa.LargeBinary(), nullable=False),
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", _LONG, nullable=False),
        sa.CheckConstraint("step IN ('hour', 'day')", name=op.f("ck_traffic_step")),
        sa.PrimaryKeyConstraint(
            "step", "at", "receiver", "giver", "study", name=op.f("pk_traffic")
        ),
    )
    op.create_index("ix_traffic_study", "traffic", ["study", "step", "at"])
    op.create_table(
        "traffic_reports",
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.Column("serial", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_traffic_reports")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("traffic_reports")
    op.drop_table("traffic")
    for name in _INDEXES:
        op.drop_index(f"ix_audit_{name}", table_name="audit")
    op.drop_column("audit", "person")
    for name, columns in _BEFORE.items():
        op.create_index(f"ix_audit_{name}", "audit", columns)


def _fill_readers() -> None:
    connection, last = op.get_bind(), 0
    read = sa.text(
        "SELECT id, detail FROM audit WHERE id > :last AND what = 'study read' ORDER BY id LIMIT :n"
    )
    fill = sa.text("UPDATE audit SET person = :person WHERE id = :id")
    while rows := connection.execute(read, {"last": last, "n": _BATCH}).all():
        last = rows[-1].id
        found = [
            {"id": row.id, "person": match["person"]}
            for row in rows
            if (match := _BY.fullmatch(row.detail))
        ]
        if found:
            connection.execute(fill, found)
