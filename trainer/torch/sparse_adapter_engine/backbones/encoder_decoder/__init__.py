"""BART and T5, over pairs of a text and a target."""
