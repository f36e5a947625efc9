"""The network: how a board gets onto one, stays there, and what it asks there (names, the time, the gateway)."""
