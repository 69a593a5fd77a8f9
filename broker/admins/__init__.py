"""Administrators of the network: what they may do, and what they do, by form or by command."""
