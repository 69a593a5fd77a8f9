"""What the web sides of broker and peer share."""
