"""How many tokens a GPU has room for in one pass: measured with a job's own trial and rows."""

from collections.abc import Callable, Sequence

import torch

from sparse_adapter_engine.device.room import is_out_of_memory

from .passes import Pass
from .trained_stacks import TrainedTrial

# The usable share of free memory; the rest is for allocations in other sizes than those measured.
_SHARE = 0.85
# A graph does not reuse the memory of the steps before its capture: both stay allocated.
_COPIES_WITH_GRAPHS = 2
# Parameters, gradient and two moments, float32, and the rounded parameters for a pass.
_STATE_BYTES = 4 * 4 + 2


def tokens_that_fit(
    measured: Sequence[tuple[int, int]], state_bytes: int, free_bytes: float
) -> int:
    """How many tokens of a pass fit into free_bytes together with the state of all trials.
    measured: (tokens, peak bytes) of two steps, the smaller first."""
    (few, least), (many, most) = measured
    # If rows are so short that both are rounded to one size, a token's cost is unknown. Assume one
    # byte: a pass that does not fit is divided.
    a_token = max((most - least) / max(many - few, 1), 1.0)
    fixed = max(least - few * a_token, 0.0)
    return max(int((free_bytes - fixed - state_bytes) / a_token), 1)


def measure_room(
    make_pass: Callable[[], Pass],
    rows: int,
    trial: TrainedTrial,
    trials: int,
    has_graphs: bool,
    device: torch.device,
) -> int | None:
    """How many tokens of a pass fit into a GPU's free memory together with the state of `trials`
    trials. Measured by two eager steps of this trial, which stays unchanged; None if there are too
    few rows. make_pass: an eager pass of the trial alone; has_graphs: whether steps will be
    captured."""
    batch = trial.train.batch_size
    counts = (batch, min(4 * batch, rows))
    if counts[1] < 2 * batch:
        return None
    measured: list[tuple[int, int]] = []
    for count in counts:
        found = _peak(make_pass, count, device)
        if found is None:
            # If four batches do not fit, one is a pass. If not even one fits, the steps divide it.
            return measured[0][0] if measured else 1
        measured.append(found)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    state = _STATE_BYTES * trial.layout.total * trials
    return tokens_that_fit(
        measured, state, _SHARE * free / (_COPIES_WITH_GRAPHS if has_graphs else 1)
    )


def _peak(
    make_pass: Callable[[], Pass], count: int, device: torch.device
) -> tuple[int, int] | None:
    """Tokens and peak bytes of an eager step of `count` rows; None if it did not fit."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        one = make_pass()
        given = one.prepare([torch.arange(count)], [1])
        one.step(given)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    one.take_results()
    return given.shapes[0].tokens, torch.cuda.max_memory_allocated(device) - before
