"""Studies that somebody at this peer sends to workstations."""
