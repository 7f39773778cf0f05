"""How many tokens a GPU has room for in one pass: measured with a job's own trial and rows."""

from collections.abc import Callable, Sequence

import torch

from sparse_adapter_engine.device.room import is_out_of_memory

from .passes import Pass
from .trained_stacks import TrainedTrial

# Of what is free; the rest is for what is allocated in other sizes than those measured.
_SHARE = 0.85
# A graph's memory is not that of the steps before its capture: both are held.
_COPIES_WITH_GRAPHS = 2
# Parameters, gradient and two moments, float32, and what is rounded of the parameters for a pass.
_STATE_BYTES = 4 * 4 + 2


def tokens_that_fit(
    measured: Sequence[tuple[int, int]], state_bytes: int, free_bytes: float
) -> int:
    """The tokens of a pass that free_bytes hold beside the state of all trials. measured: (tokens,
    bytes at the peak) of two steps, the smaller first."""
    (few, least), (many, most) = measured
    # Rows so short that both are rounded up to one size tell nothing of a token: one byte will do,
    # and what does not fit is divided.
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
    """Tokens of a pass that fit into what is free of a GPU beside the state of so many trials, by
    two eager steps of this one, which they leave as it is; None where there are too few rows to
    tell. make_pass: an eager pass of the trial alone; has_graphs: whether steps will be
    captured."""
    batch = trial.train.batch_size
    counts = (batch, min(4 * batch, rows))
    if counts[1] < 2 * batch:
        return None
    measured: list[tuple[int, int]] = []
    for count in counts:
        found = _peak(make_pass, count, device)
        if found is None:
            # Four batches do not fit, so one is a pass; or not even one, which steps divide.
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
    """Tokens of an eager step of so many rows, and the most bytes that it held; None where it had
    no room."""
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
