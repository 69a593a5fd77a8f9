"""DIMSE as client (SCU) of a PACS, and what its answers mean."""
