"""Pages on which access rules are tried."""
