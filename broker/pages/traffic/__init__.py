"""Pages of traffic: who received how much from whom, over time."""
