"""Storage Commitment: scanners ask whether what they stored here is safe, and are told."""
