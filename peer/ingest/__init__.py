"""Instances that a hospital sends: taken, kept, and published into the network."""
