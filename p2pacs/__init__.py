"""What broker and peer share; imports neither."""
