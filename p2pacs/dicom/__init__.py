"""DIMSE and DICOMweb, as client and as server; the only importer of pynetdicom."""
