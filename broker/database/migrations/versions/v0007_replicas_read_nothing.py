"""Replicas read nothing, whatever rule they were given: what is shown is what holds."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Give replicas the one rule that they can have."""
    op.execute("UPDATE members SET read = 'none' WHERE role = 'replica' AND read <> 'none'")


def downgrade() -> None:
    """Nothing: the program before reads the same."""
