"""Exchanging the chunks of studies with other members."""
