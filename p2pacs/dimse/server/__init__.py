"""DIMSE as server (SCP): who may connect, verification, query, retrieval, storage."""
