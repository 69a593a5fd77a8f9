"""The local interface: HTTP on loopback for the commands of this machine."""
