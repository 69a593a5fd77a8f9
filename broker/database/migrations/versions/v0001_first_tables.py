"""First tables: members, studies, grants, audit, administrators."""

import sqlalchemy as sa
from alembic import op

from broker.database.migrations.append_only import drop_function, refuse_changes

revision = "0001"
down_revision = None

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Build what is new."""
    op.create_table(
        "admins",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_admins")),
    )
    op.create_table(
        "audit",
        sa.Column("id", _LONG, nullable=False),
        sa.Column("time", _LONG, nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("study", sa.LargeBinary(), nullable=True),
        sa.Column("uid", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_actor", "audit", ["actor"])
    op.create_index("ix_audit_study", "audit", ["study"])
    refuse_changes()

    op.create_table(
        "counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "failures",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", _LONG, nullable=False),
        sa.Column("locked_until", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_failures")),
    )
    op.create_table(
        "grants",
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("granted", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("study", "address", name=op.f("pk_grants")),
    )
    op.create_table(
        "members",
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("uplink", _LONG, nullable=True),
        sa.Column("downlink", _LONG, nullable=True),
        sa.Column("read", sa.String(), nullable=False),
        sa.Column("read_version", sa.Integer(), nullable=False),
        sa.Column("registered", _LONG, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("token_expires", _LONG, nullable=True),
        sa.Column("joined", _LONG, nullable=True),
        sa.Column("key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("box_key", sa.LargeBinary(), nullable=True),
        sa.Column("endpoints", sa.String(), nullable=False),
        sa.Column("certificate_expires", _LONG, nullable=True),
        sa.Column("linked", sa.Boolean(), nullable=False),
        sa.Column("last_seen", _LONG, nullable=True),
        sa.Column("revoked", _LONG, nullable=True),
        sa.CheckConstraint(
            "role IN ('broker', 'replica', 'hospital')", name=op.f("ck_members_role")
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_members")),
        sa.UniqueConstraint("name", name=op.f("uq_members_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_members_token_hash")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("admin", sa.String(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("started", _LONG, nullable=False),
        sa.Column("used", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_table(
        "studies",
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("published", _LONG, nullable=True),
        sa.PrimaryKeyConstraint("study", name=op.f("pk_studies")),
        sa.UniqueConstraint("uid", name=op.f("uq_studies_uid")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("studies")
    op.drop_table("sessions")
    op.drop_table("members")
    op.drop_table("grants")
    op.drop_table("failures")
    op.drop_table("counters")
    op.drop_table("audit")
    drop_function()
    op.drop_table("admins")
