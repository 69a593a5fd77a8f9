"""Instances to who takes them: C-STORE sub-operations, their counts, conversion."""
