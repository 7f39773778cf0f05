"""What a trial trains: its tensors, and what they compute in the frozen model."""
