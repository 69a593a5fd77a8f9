"""Members may send studies: which may, and whose those are."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Build what is new: hospitals that are there may send, as new ones do."""
    op.create_table(
        "sent",
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.Column("began", _LONG, nullable=False),
        sa.Column("sending", sa.Boolean(), nullable=False),
        sa.Column("version", _LONG, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("stored", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("study", name=op.f("pk_sent")),
    )
    op.add_column("members", sa.Column("send", sa.String(), nullable=False, server_default="none"))
    op.execute("UPDATE members SET send = 'all' WHERE role = 'hospital'")


def downgrade() -> None:
    """Go back."""
    op.drop_column("members", "send")
    op.drop_table("sent")
