"""Serving chunks to other members."""
