"""Which member is linked with which broker: one broker no longer clears what another knows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Build what is new; who is linked is known anew when the broker runs."""
    op.create_table(
        "links",
        sa.Column("broker", sa.LargeBinary(), nullable=False),
        sa.Column("member", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("broker", "member", name=op.f("pk_links")),
    )
    op.create_index("ix_links_member", "links", ["member"])
    op.drop_column("members", "linked")


def downgrade() -> None:
    """Go back."""
    op.add_column(
        "members",
        sa.Column("linked", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.drop_index("ix_links_member", table_name="links")
    op.drop_table("links")
