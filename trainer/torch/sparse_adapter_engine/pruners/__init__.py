"""The pruners, one file each with its score, what it uses and its paper, and the table of them all.

A new one needs a value of the enum in job.proto, a file here and a line in PRUNERS; capabilities
and validation follow from it.
"""

from sparse_adapter.trainer.v1 import job_pb2

from .erdos_renyi import ErdosRenyi
from .fisher import Fisher
from .gradient import Gradient
from .grasp import Grasp
from .magnitude import Magnitude
from .none import Nothing
from .pruner import Pruner
from .rand import Rand
from .skeleton import Skeleton
from .snip import Snip
from .synflow import Synflow

# By number in job.proto, in its order.
PRUNERS: dict[job_pb2.Pruner, Pruner] = {
    pruner.number: pruner
    for pruner in (
        Nothing(),
        Rand(),
        Magnitude(),
        Snip(),
        ErdosRenyi(),
        Grasp(),
        Synflow(),
        Gradient(),
        Fisher(),
        Skeleton(),
    )
}


def find_pruner(prune: job_pb2.Prune) -> Pruner:
    """The pruner of a valid Prune."""
    return PRUNERS[prune.pruner]
