"""How people hear of what happened: a port, and its adapters."""
