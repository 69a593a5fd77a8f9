"""Chunks on disk: space, use, recycling."""
