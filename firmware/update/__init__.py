"""Updates over the network: how they come (service), and whether a new image stays (trial)."""
