"""Studies are addressed to members: to whom, how urgent, and what these were told."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Build what is new."""
    op.create_table(
        "recipients",
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("addressed", _LONG, nullable=False),
        sa.Column("ended", _LONG, nullable=True),
        sa.Column("told", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("study", "member", name=op.f("pk_recipients")),
    )
    op.create_index(op.f("ix_recipients_member"), "recipients", ["member"])


def downgrade() -> None:
    """Go back."""
    op.drop_index(op.f("ix_recipients_member"), table_name="recipients")
    op.drop_table("recipients")
