"""BERT and RoBERTa, over packed rows: no padded token is computed."""
