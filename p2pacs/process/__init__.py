"""A program's own process: its end, health, log, standard streams, memory, and systemd."""
