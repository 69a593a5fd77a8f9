"""Studies that members send: whose they are, and how they are forwarded to the central PACS."""
