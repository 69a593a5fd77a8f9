"""The audit trail is searched by study, and by member and time.

Without these a report of a member was compared with every entry of its study, and a search read the
whole trail.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.drop_index("ix_audit_study", table_name="audit")
    op.create_index("ix_audit_uid", "audit", ["uid"])
    op.create_index("ix_audit_address", "audit", ["address", "time"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_audit_address", table_name="audit")
    op.drop_index("ix_audit_uid", table_name="audit")
    op.create_index("ix_audit_study", "audit", ["study"])
