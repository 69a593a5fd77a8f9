"""The peer's commands."""
