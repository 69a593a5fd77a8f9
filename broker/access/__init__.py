"""Which studies a member may read: rules, what they decide and why, and trying them out."""
