"""Studies that are read here, and their readers."""
