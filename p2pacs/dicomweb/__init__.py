"""DICOMweb as client; as server later."""
