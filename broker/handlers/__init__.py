"""What members ask the broker, and what it tells them."""
