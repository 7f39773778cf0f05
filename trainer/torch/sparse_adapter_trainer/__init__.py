"""The PyTorch trainer of sa-orch: prunes, trains and predicts with sparse adapters on a frozen backbone."""

import os

# Read by the OpenMP runtime when torch loads. Idle threads that spin take the core from whoever shares it: another trainer, the worker, the
# Temporal server. A user's own setting stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KMP_BLOCKTIME", "0")

__version__ = "0.1.0"
