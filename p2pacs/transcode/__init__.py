"""Instances in a transfer syntax that a receiver accepts, made without loss from what is stored."""
