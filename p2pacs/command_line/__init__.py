"""What commands take: secrets outside their arguments, completion by the shell."""
