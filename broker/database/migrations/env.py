"""Alembic's entry: runs migrations on the connection that broker/database/db.py opened."""

from alembic import context

from broker.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transactional_ddl=True,
)
context.run_migrations()
