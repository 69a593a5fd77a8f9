"""The OHIF viewer: its package, unpacked here, and an origin of its own that serves it."""
