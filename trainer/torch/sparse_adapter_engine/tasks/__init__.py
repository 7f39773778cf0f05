"""What a job's trials learn from: a backbone and its rows, behind one protocol; one file per
family."""
