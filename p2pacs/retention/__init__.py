"""What stays where: eviction, proof of possession."""
