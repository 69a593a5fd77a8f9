"""What is said on the wire: every message, its bytes, its bounds, frames."""
