"""What members send is as urgent as its sender says: the broker fetches it so, too."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Build what is new."""
    op.add_column("sent", sa.Column("priority", sa.Integer(), nullable=False, server_default="2"))


def downgrade() -> None:
    """Go back."""
    op.drop_column("sent", "priority")
