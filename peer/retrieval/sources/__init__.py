"""Where a study comes from: who has it, what opens it, and its transfers."""
