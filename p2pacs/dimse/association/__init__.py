"""One association: what we replace of pynetdicom, presentation contexts, threads and trio."""
