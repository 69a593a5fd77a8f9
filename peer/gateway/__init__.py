"""The interfaces that the workstations of a hospital see."""
