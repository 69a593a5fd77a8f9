"""Who is a member: the registry, the signed directory, and who admits new members."""
