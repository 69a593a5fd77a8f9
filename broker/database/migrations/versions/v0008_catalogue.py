"""The catalogue and its feed stand in this database: one transaction writes both."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Build what is new; the program fills it from the file that held the catalogue."""
    op.create_table(
        "catalogue_studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("uid", sa.String(), nullable=True),
        sa.Column("seq", _LONG, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_studies")),
        sa.UniqueConstraint("seq", name=op.f("uq_catalogue_studies_seq")),
        sa.UniqueConstraint("study", name=op.f("uq_catalogue_studies_study")),
        sa.UniqueConstraint("uid", name=op.f("uq_catalogue_studies_uid")),
    )
    op.create_table(
        "catalogue_terms",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("study", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["catalogue_studies.id"]),
        sa.PrimaryKeyConstraint("kind", "value", "study", name=op.f("pk_catalogue_terms")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_catalogue_terms_study", "catalogue_terms", ["study"])
    op.create_table(
        "catalogue_known",
        sa.Column("tag", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_catalogue_known")),
    )
    op.create_table(
        "catalogue_former",
        sa.Column("study", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("study", "number", name=op.f("pk_catalogue_former")),
    )
    op.create_table(
        "catalogue_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_state")),
    )
    op.create_table(
        "catalogue_gaps",
        sa.Column("after", _LONG, nullable=False, autoincrement=False),
        sa.Column("until", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("after", name=op.f("pk_catalogue_gaps")),
    )


def downgrade() -> None:
    """Go back; the catalogue is filled again from the PACS."""
    for name in ("gaps", "state", "former", "known", "terms", "studies"):
        op.drop_table(f"catalogue_{name}")
