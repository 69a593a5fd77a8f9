"""One host's access line: pacing, measuring, draining, what the kernel says of a connection."""
