"""Alembic migrations of the broker's database; run by broker/database/db.py."""
