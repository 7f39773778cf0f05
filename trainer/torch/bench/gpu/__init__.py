"""`python -m bench.gpu`: cohorts of adapter trials on one GPU, beside what users have for one
trial.

Random weights and random rows: no tokenizer, no data set, no download.
"""

import time

# Before PyTorch is loaded, which takes seconds of the budget too.
BEGAN = time.monotonic()
