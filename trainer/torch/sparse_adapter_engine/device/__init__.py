"""How a device computes, and how much fits on it."""
