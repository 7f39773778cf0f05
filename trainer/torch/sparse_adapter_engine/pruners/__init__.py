"""What is removed first: a file a pruner."""
