"""Which rows of a batch are padded together."""

import math
from collections.abc import Sequence

# What one more group costs, in tokens of padding that take as long. On a CPU its matrix products
# are smaller: of 0, 64, 128, 256, 512 and 1,024 tokens 128 and 256 were fastest for documents of
# XSum, 16 a batch, where a step takes 0.69 of the time without groups. On a GPU each group is
# another thousand launches.
CPU_GROUP_TOKENS = 256
GPU_GROUP_TOKENS = 4_096
# For rows that must stay together.
ONE_GROUP = math.inf


def group_sizes(
    lengths: Sequence[int], target_lengths: Sequence[int], group_tokens: float, trials: int = 1
) -> list[int]:
    """How many rows each group takes, in order, of rows that are sorted by length; with several
    trials, of each one's rows.

    Of all ways to cut the rows into runs the cheapest: a run costs its rows times its longest text
    and longest target, for each trial, and group_tokens. Of equal ones the way with the fewest
    groups. It follows from the rows alone: a trial that runs by itself has the same groups in every
    cohort.
    """
    # By end: the least cost of the rows before it, the groups, and where the last of them begins.
    best: list[tuple[float, int, int]] = [(0, 0, 0)]
    for end in range(1, len(lengths) + 1):
        found = []
        target = 0
        for begin in range(end - 1, -1, -1):
            target = max(target, target_lengths[begin])
            cost, groups, _ = best[begin]
            padded = trials * (end - begin) * (lengths[end - 1] + target)
            found.append((cost + padded + group_tokens, groups + 1, begin))
        best.append(min(found))
    sizes: list[int] = []
    end = len(lengths)
    while end:
        begin = best[end][2]
        sizes.append(end - begin)
        end = begin
    return sizes[::-1]
