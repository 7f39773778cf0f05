"""The tensor work of the PyTorch trainer: prunes, trains and predicts with sparse adapters on a
frozen backbone.

`engine.py` runs jobs. Its callers (the server in `sparse_adapter_trainer`, benchmarks, tests)
import from here, never the other way round.
"""

import os

from .device.memory import keep_freed_memory

# How long an idle thread spins before it sleeps; the OpenMP runtime reads it when torch loads.
# Measured on two cores, compared with no spin: a trial alone trains 21-34 % faster, two trainers on
# the same cores 9-14 % slower. 20,000 turns would give a trial alone 5 % more, and two trainers a
# third of their speed. The runtime's default of 300,000 would halve the speed of other programs on
# the core (another trainer, the worker, the Temporal server). A user's own setting wins.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")

keep_freed_memory()
