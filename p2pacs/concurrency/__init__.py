"""Waking, waiting, trying again and ending tasks; a bound on bytes that are in memory at once."""
