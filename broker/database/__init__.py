"""The broker's database, its tables and their migrations."""
