"""Rows of like length are padded together, where that costs least."""

from itertools import combinations, pairwise

import pytest
import torch

from sparse_adapter_engine.data.length_groups import ONE_GROUP, group_sizes


def cost(
    lengths: list[int], targets: list[int], sizes: list[int], group_tokens: float, trials: int
) -> float:
    total, begin = 0.0, 0
    for size in sizes:
        these = slice(begin, begin + size)
        total += group_tokens + trials * size * (max(lengths[these]) + max(targets[these]))
        begin += size
    return total


def ways(rows: int) -> list[list[int]]:
    """All ways to cut rows into runs."""
    found = []
    for cuts in range(rows):
        for inner in combinations(range(1, rows), cuts):
            places = [0, *inner, rows]
            found.append([end - begin for begin, end in pairwise(places)])
    return found


@pytest.mark.parametrize("group_tokens", [0, 16, 60, 500, ONE_GROUP])
@pytest.mark.parametrize("trials", [1, 4])
def test_no_other_way_to_cut_rows_is_cheaper_and_of_equal_ones_none_has_fewer_groups(
    group_tokens: float, trials: int
) -> None:
    random = torch.Generator().manual_seed(7)
    for rows in (1, 2, 7):
        lengths = torch.randint(1, 60, (rows,), generator=random).sort().values.tolist()
        targets = torch.randint(1, 20, (rows,), generator=random).tolist()
        found = group_sizes(lengths, targets, group_tokens, trials)
        assert sum(found) == rows
        expected = min(
            (cost(lengths, targets, sizes, group_tokens, trials), len(sizes))
            for sizes in ways(rows)
        )
        assert (cost(lengths, targets, found, group_tokens, trials), len(found)) == expected


def test_a_costly_group_takes_all_rows_and_a_free_one_those_of_a_length() -> None:
    assert group_sizes([3, 9, 400], [2, 2, 2], ONE_GROUP) == [3]
    assert group_sizes([3, 3, 9, 9, 9], [2, 2, 2, 2, 2], 0) == [2, 3]
