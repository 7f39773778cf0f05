"""The frozen pretrained models: a folder a family."""
