"""The search index: schema, DICOM matching, change feed."""
