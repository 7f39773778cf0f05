"""The frozen pretrained models: one folder per family."""
