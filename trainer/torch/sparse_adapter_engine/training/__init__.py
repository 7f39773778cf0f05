"""The training loop, and the steps of its trials."""
