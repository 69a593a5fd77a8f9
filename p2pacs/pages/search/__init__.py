"""Searching studies on pages: the form, what it finds, and searches that are remembered."""
