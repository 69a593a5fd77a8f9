"""Bytes to header and frames to coded to sealed to chunks to manifest, and back."""
