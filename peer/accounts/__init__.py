"""People who use the hospital's pages: what they may do, and what was done about them."""
