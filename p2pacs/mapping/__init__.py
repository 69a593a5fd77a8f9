"""Ports that the router maps: asked by PCP and NAT-PMP, kept, given back."""
