"""Accounts of their own room: known places, and no lock-out of sign-ins any more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Build what is new; who is signed in signs in once more."""
    op.rename_table("admins", "accounts")
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
    op.create_table(
        "known_places",
        sa.Column("place_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("used", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("place_hash", name=op.f("pk_known_places")),
    )
    op.create_index("ix_known_places_account", "known_places", ["account"])
    op.execute("DELETE FROM failures WHERE subject LIKE 'sign-in%'")


def downgrade() -> None:
    """Go back."""
    op.drop_table("known_places")
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("admin", sa.String(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("started", _LONG, nullable=False),
        sa.Column("used", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.rename_table("accounts", "admins")
