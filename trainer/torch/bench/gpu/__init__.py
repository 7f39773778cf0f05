"""`python -m bench.gpu`: cohorts of adapter trials on one GPU, compared with what users run for one
trial.

Random weights and random rows: no tokenizer, no data set, no download.
"""

import time

# Before PyTorch loads, because that takes seconds of the budget too.
BEGAN = time.monotonic()
