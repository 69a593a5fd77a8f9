"""What a PACS is asked, so that its limits on answers and keys do no harm."""
