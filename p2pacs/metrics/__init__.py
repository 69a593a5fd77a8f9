"""What a running program tells Prometheus of itself: read at each scrape, never pushed."""
