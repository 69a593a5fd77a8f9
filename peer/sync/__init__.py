"""What the broker tells this peer, and what this peer tells the broker."""
