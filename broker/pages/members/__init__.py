"""Pages of the members: all of them, and one."""
