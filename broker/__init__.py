"""The broker: between the central PACS and the swarm; the authority of the network."""
