"""How a device goes about its work, and what it has room for."""
