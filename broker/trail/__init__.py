"""The audit trail: written with what it tells of, read, and searched."""
