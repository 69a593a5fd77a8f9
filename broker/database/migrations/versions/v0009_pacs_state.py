"""How the PACS is, for the administrator's pages and `p2pacs broker status`."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Build what is new; the next look fills it."""
    op.create_table(
        "pacs",
        sa.Column("broker", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("looked", sa.Integer(), nullable=True),
        sa.Column("studies", sa.Integer(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("broker", name=op.f("pk_pacs")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("pacs")
