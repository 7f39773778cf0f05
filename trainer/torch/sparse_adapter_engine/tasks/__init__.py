"""What a job's trials learn from: a backbone and its rows, behind one protocol; a file a family."""
