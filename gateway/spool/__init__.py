"""The durable store: what has been answered 250 and no next hop has yet, and places for octets under way."""
