"""How orders reach hosts: a port, and its adapters."""
