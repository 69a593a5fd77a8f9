"""Fetching a study from many members at once."""
