"""The wire: messages, framing, session (pure) and link (the only trio pump)."""
