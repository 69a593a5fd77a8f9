"""``p2pacs get``: a study as files in a folder, and a contact sheet before."""
