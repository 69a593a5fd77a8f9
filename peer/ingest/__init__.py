"""Studies that are made here: taken, published into the network, and followed until it has them."""
