"""What viewers see over DICOMweb: who may, what they read, and what they look at."""
