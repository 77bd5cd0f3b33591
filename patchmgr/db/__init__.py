"""Persistence: typed rows, sessions and the reads worth a name."""
