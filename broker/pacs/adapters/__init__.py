"""A PACS over DIMSE or DICOMweb behind the one interface, and what one can do."""
