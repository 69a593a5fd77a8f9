"""People who sign in: accounts and sessions."""
