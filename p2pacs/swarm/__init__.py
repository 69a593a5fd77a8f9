"""Picker and ledger (pure); download, upload, pacing, dialling."""
