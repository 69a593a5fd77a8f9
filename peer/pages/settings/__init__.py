"""The peer's settings as a form."""
