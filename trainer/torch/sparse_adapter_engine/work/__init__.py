"""The three kinds of job: prune, train, predict."""
