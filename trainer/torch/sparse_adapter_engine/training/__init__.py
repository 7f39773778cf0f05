"""The training loop, and its trials' steps."""
