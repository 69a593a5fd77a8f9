"""DIMSE as client and server; the only importer of pynetdicom."""
