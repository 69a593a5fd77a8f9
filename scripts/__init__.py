"""What the scripts beside this file run: not installed, only used in a checkout."""
