"""Who gives what to whom, and when. Pure: no clock, no I/O."""
