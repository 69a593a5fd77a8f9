"""Alembic migrations of the broker's database; run by broker/db.py."""
