"""Members cancel what they send, and whom it was addressed to is told not to fetch it."""

import sqlalchemy as sa
from alembic import op

from p2pacs.sql.portable import Long

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Build what is new."""
    op.add_column("sent", sa.Column("cancelled", Long))
    op.add_column("sent", sa.Column("instances", Long, nullable=False, server_default="0"))
    op.add_column("sent", sa.Column("came", Long))
    op.add_column(
        "recipients", sa.Column("stop", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("recipients", "stop")
    for name in ("came", "instances", "cancelled"):
        op.drop_column("sent", name)
