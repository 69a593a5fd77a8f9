"""Pages on which members are registered: forms, and the tokens that come of them."""
