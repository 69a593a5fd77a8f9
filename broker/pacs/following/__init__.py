"""The catalogue follows the PACS: what is new, changed or gone."""
