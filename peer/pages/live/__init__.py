"""What changes on open pages: looked at once, worded, and sent to all of them."""
