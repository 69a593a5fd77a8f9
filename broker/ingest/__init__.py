"""Studies that members send: whose they are, and how they come home to the central PACS."""
