"""No pruning: the dense adapter."""

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Pruner


class Nothing(Pruner):
    """Keeps all, and scores nothing."""

    number = job_pb2.PRUNER_NONE
