"""What a retrieval wants of a study, what the catalogue tells of it, how far it is delivered."""
