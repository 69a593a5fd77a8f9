"""The instances of a study that grows here: which there are, in what order, and reading them."""
