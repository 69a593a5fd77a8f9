"""The PACS that the workstations of a hospital see."""
