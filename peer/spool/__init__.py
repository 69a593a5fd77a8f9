"""The spool: instances as they came, on the disk, until they are safe elsewhere."""
