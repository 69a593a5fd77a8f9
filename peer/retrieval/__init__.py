"""Studies on their way here, and what of them can be read already."""
