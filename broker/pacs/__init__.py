"""The central PACS behind one interface: enumerate, describe, retrieve."""
