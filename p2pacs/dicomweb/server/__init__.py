"""A DICOMweb origin server (PS3.18): HTTP on one side, a `backend.DicomwebBackend` on the other."""
