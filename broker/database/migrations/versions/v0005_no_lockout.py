"""Nobody is locked out: wrong tokens and passwords are counted in memory."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Remove what is not used."""
    op.drop_table("failures")


def downgrade() -> None:
    """Go back."""
    op.create_table(
        "failures",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", _LONG, nullable=False),
        sa.Column("locked_until", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_failures")),
    )
