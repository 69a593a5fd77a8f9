"""Studies whose sender is gone are adopted: the broker finishes them without it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Build what is new; studies of members that were revoked are adopted."""
    op.add_column(
        "sent", sa.Column("adopted", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute(
        "UPDATE sent SET adopted = sending WHERE member IN "
        "(SELECT address FROM members WHERE revoked IS NOT NULL)"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("sent", "adopted")
