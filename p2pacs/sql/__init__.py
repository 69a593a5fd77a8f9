"""SQL that both databases take; SQLite files: how they are opened, and what goes wrong."""
