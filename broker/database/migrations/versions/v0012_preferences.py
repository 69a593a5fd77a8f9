"""How people want the pages: the language."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Build what is new: nobody has said anything yet."""
    op.create_table(
        "preferences",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_preferences")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("preferences")
