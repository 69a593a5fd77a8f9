"""Channels between members: TLS over TCP, with as little work as can be."""
