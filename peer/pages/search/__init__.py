"""Searching studies: the form, the list with its saved searches, and where each study is."""
