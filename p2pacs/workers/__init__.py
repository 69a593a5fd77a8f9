"""Worker processes for codecs: what crashes, hangs or eats memory in them costs one job.

Written here instead of taken: trio-parallel 1.3.0 leaves a worker that hangs behind when the
program is killed, imports the whole program into each worker (120 MB instead of 50), trusts
whatever a worker sends to be unpickled, and is not typed.
"""
