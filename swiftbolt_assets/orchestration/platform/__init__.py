"""A running platform: its processes, addresses and presence."""
