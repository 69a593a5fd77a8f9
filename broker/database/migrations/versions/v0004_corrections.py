"""What was done to a member is found with it, and a stale form is noticed.

Entries of before say it in their detail alone: the member's name, or the name and a rule.
"""

import sqlalchemy as sa
from alembic import op

from broker.database.migrations.append_only import allow_updates, refuse_updates

revision = "0004"
down_revision = "0003"

_FILL = """
UPDATE audit SET about = (
    SELECT members.address FROM members WHERE audit.detail = members.name
    OR substr(audit.detail, 1, length(members.name) + 2) = members.name || ': '
)
WHERE address IS NULL
AND what IN ('member registered', 'token issued', 'read rule changed', 'member revoked')
"""


def upgrade() -> None:
    """Build what is new."""
    op.add_column("audit", sa.Column("about", sa.LargeBinary(), nullable=True))
    op.create_index("ix_audit_about", "audit", ["about"])
    allow_updates()
    op.execute(_FILL)
    refuse_updates()
    op.add_column("members", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Go back."""
    op.drop_column("members", "version")
    op.drop_index("ix_audit_about", table_name="audit")
    op.drop_column("audit", "about")
