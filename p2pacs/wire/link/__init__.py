"""Links: the session (pure) and the only pump, queries both ways, what waits to leave."""
