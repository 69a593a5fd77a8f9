"""The studies of one host: what is here of each, and who takes part in it."""
