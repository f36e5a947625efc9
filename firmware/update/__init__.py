"""Updates over the network: the methods that receive them (service), and the trial of a new image (trial)."""
