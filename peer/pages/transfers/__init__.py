"""Studies on their way in and out, and the room that they take on the disk."""
