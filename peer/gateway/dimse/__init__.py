"""The PACS that workstations see over DIMSE."""
