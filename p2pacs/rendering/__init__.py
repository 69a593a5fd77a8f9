"""Frames as pictures that any browser shows: through a window, in colours, at a size."""
