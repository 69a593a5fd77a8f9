"""Accounts have roles, and sessions tell where they began."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Whoever could sign in until now may do everything; who is signed in signs in once more."""
    everybody = sa.Column("role", sa.String(), nullable=False, server_default="administrator")
    with op.batch_alter_table("accounts") as table:
        table.add_column(everybody)
    with op.batch_alter_table("accounts") as table:  # whom nobody gave a role, has none
        table.alter_column("role", server_default=None)
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("started", _LONG, nullable=False),
        sa.Column("used", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("started", _LONG, nullable=False),
        sa.Column("used", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("accounts") as table:
        table.drop_column("role")
