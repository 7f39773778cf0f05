"""BERT and RoBERTa, over packed rows, so that no padding is computed."""
