"""Tokenized data sets in memory, and batches of them."""
