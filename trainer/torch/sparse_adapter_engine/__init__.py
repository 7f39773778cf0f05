"""The tensor work of the PyTorch trainer: prunes, trains and predicts with sparse adapters on a
frozen backbone.

`engine.py` runs jobs; whoever asks for them (the server in `sparse_adapter_trainer`, a benchmark, a
test) imports from here, never the other way round.
"""

import os

# Read by the OpenMP runtime when torch loads: how long an idle thread spins before it sleeps.
# Measured on two cores: against no spin a trial alone trains 21-34 % faster, two trainers on the
# same cores 9-14 % slower; the runtime's own 300,000 turns would halve the speed of whoever shares
# the core (another trainer, the worker, the Temporal server). A user's own setting stands.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
