"""Real processes, each in a network namespace behind a line of its own (docs/lab.md)."""
