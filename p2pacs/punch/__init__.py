"""Links through NAT: members that nobody can dial meet by way of a common neighbour."""
