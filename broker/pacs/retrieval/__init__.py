"""Bringing instances from a PACS: by which requests, and what one of them left out."""
