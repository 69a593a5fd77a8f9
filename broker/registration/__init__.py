"""Registering members: what is typed or written of them, and what they are given."""
