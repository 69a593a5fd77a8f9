"""The peer: a replica or a hospital's gateway into the swarm."""
