"""What a data set says: attributes, headers, the DICOM JSON model (PS3.18 F), instances."""
