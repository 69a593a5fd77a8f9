"""How a newcomer becomes a member, on a channel of its own."""
