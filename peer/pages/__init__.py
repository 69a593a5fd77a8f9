"""The hospital's page: what people see of this peer, and what they do here."""
