"""The embedded PACS: for demos and tests, and for a site that has no PACS to try with."""
