"""Pages of the studies: where copies are, how a publication stands, what is on its way."""
