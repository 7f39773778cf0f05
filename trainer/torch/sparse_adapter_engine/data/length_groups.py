"""Which rows of a batch are padded together."""

import math
from collections.abc import Sequence

# The cost of one more group, in tokens of padding that take as long. On a CPU its matrix products
# are smaller: of 0, 64, 128, 256, 512 and 1,024 tokens, 128 and 256 were fastest for XSum's
# documents in batches of 16, and a step takes 0.69 of its time without groups. On a GPU each group
# costs another thousand launches.
CPU_GROUP_TOKENS = 256
GPU_GROUP_TOKENS = 4_096
# For rows that must stay together.
ONE_GROUP = math.inf


def group_sizes(
    lengths: Sequence[int], target_lengths: Sequence[int], group_tokens: float, trials: int = 1
) -> list[int]:
    """How many rows each group takes, in order, from rows sorted by length; with several trials,
    from each one's rows.

    The cheapest of all ways to cut the rows into runs: a run costs group_tokens and, for each
    trial, its rows times the sum of its longest text and longest target. Of equally cheap ways, one
    with the fewest groups. It depends on the rows alone: a trial that runs by itself has the same
    groups in every cohort.
    """
    # By end: the least cost of the rows before it, the number of groups, and where the last begins.
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
