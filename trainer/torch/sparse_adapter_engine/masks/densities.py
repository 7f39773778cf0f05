"""How many weights are kept: at a density, after each round, and in each matrix by Erdős–Rényi
densities."""

import math

from sparse_adapter.trainer.v1 import job_pb2

from .scores import Shapes


def is_during_training(prune: job_pb2.Prune) -> bool:
    """Whether the rounds take place between steps of training (Prune.every_steps)."""
    return prune.pruner != job_pb2.PRUNER_NONE and prune.every_steps > 0


def kept_count(n: int, density: float) -> int:
    """How many of n weights are kept: floor(density · n + 0.5), in float64."""
    return math.floor(density * n + 0.5)


def densities(prune: job_pb2.Prune) -> list[float]:
    """The density after each of `rounds`, by the schedule; the last is 1 − sparsity exactly."""
    return schedule_to(1 - prune.sparsity, prune.rounds, prune.schedule)


def schedule_to(final: float, rounds: int, schedule: int) -> list[float]:
    """The density after each of `rounds` from 1 to `final`."""
    match schedule:
        case job_pb2.PRUNE_SCHEDULE_LINEAR:
            earlier = [1 - (1 - final) * k / rounds for k in range(1, rounds)]
        case job_pb2.PRUNE_SCHEDULE_CUBIC:
            earlier = [final + (1 - final) * (1 - k / rounds) ** 3 for k in range(1, rounds)]
        case _:
            earlier = [final ** (k / rounds) for k in range(1, rounds)]
    return [*earlier, final]


def er_counts(shapes: Shapes, kept: int) -> dict[str, int]:
    """How many weights of each matrix are kept, `kept` in total, by Erdős–Rényi densities (Mocanu
    et al. 2018): [a, b] has density min(1, ε · (a + b) / (a · b)). Counts are rounded down, and the
    rest goes to the largest remainders, the first of equal ones."""
    whole: dict[str, int] = {}
    # In integers, so that rounding never changes a total: ε = left / total, a matrix's count is ε ·
    # (a + b).
    while True:
        sums = {name: sum(shape) for name, shape in shapes.items() if name not in whole}
        left, total = kept - sum(whole.values()), sum(sums.values())
        # The others get what a full matrix cannot take: ε rises, and may fill more of them.
        full = {
            name: math.prod(shapes[name])
            for name, width in sums.items()
            if left * width >= total * math.prod(shapes[name])
        }
        if not full:
            break
        whole |= full
    counts = {name: left * width // total for name, width in sums.items()}
    remainders = sorted(sums, key=lambda name: left * sums[name] % total, reverse=True)
    for name in remainders[: left - sum(counts.values())]:
        counts[name] += 1
    return {name: whole.get(name, counts.get(name, 0)) for name in shapes}
