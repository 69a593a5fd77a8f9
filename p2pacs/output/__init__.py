"""What programs print and export: tables, lists, CSV, JSON objects."""
