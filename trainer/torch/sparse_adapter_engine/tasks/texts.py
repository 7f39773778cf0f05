"""Texts that trials of encoder–decoders generate for a split: which rows at once, and whose.

Batches are of rows of like length. On a CPU they are small and a trial's own, so that a text does
not depend on who else predicts; on a GPU as large as a share of its memory allows, of all trials
that may be stacked.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.device.room import is_out_of_memory, release
from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.files.artifacts import Tensors
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.pair_pass import pair_form
from sparse_adapter_engine.stacked.stack import Stack, StackedTrial

from .task import Adapted

# Larger batches are no faster on a CPU, where products are most of the time: 8, 16 and 24 rows of 6
# beams were within 3 %.
_CPU_ROWS = 8
# Of a GPU's memory, for what `row_bytes` counts; as much again passes through, and the model has
# its own.
_GPU_SHARE = 0.25
# The words' logits, their logarithms, and what the best of them are found in, float32.
_COPIES_OF_WORDS = 4


def group_companies(trials: Sequence[Adapted], is_stacked: bool) -> list[list[Adapted]]:
    """Which trials generate together: those of one form where trials are stacked, else each by
    itself."""
    found: dict[object, list[Adapted]] = {}
    for trial in trials:
        found.setdefault(pair_form(trial.adapter) if is_stacked else trial.trial_id, []).append(
            trial
        )
    return list(found.values())


def generate_texts(
    backbone: EncoderDecoder,
    split: PairSplit,
    company: Sequence[Adapted],
    asked: job_pb2.Generation,
    is_stacked: bool,
    passed: Callable[[int], None],
) -> list[Tensors]:
    """generated_ids and generated_offsets for each trial of a company, as Trial of job.proto says.
    passed: called with the rows of each batch, of all trials; may raise to stop.

    Raises JobFailed (OUT_OF_MEMORY) where the device has no room for one row.
    """
    prompt, count = prompt_length(company[0].adapter), len(company)
    modules = _modules(backbone, company, is_stacked)
    texts = [[torch.empty(0, dtype=torch.int64)] * split.rows for _ in company]
    waiting = list(batches(backbone, split.lengths + prompt, asked, count))
    while waiting:
        rows = waiting.pop(0)
        pack = split.pack_stack([rows] * count, prompt, ONE_GROUP)
        try:
            found = backbone.generate(pack.to(backbone.device), modules, asked)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if rows.numel() == 1:
                message = f"out of memory with one row of each trial at a time ({error})"
                raise JobFailed(event_pb2.FAILURE_REASON_OUT_OF_MEMORY, message) from error
            found = []
        if not found:
            # Not in the handler: the error's frames hold what was computed.
            release()
            waiting[:0] = rows.tensor_split(2)
            continue
        in_order = iter(found)
        for of_trial, order in zip(texts, pack.orders, strict=True):
            for row in rows[order].tolist():
                of_trial[row] = next(in_order)
        passed(pack.rows)
    return [_ragged(of_trial) for of_trial in texts]


def batches(
    backbone: EncoderDecoder, lengths: Tensor, asked: job_pb2.Generation, trials: int
) -> Iterator[Tensor]:
    """Rows (int64) of each batch, shortest first. lengths: int64 [rows], of texts with their
    prompts."""
    order = lengths.argsort(stable=True)
    if backbone.device.type == "cpu":
        yield from order.split(_CPU_ROWS)
        return
    room = _GPU_SHARE * torch.cuda.get_device_properties(backbone.device).total_memory
    yield from fitting(
        order, lengths, lambda length: trials * row_bytes(backbone, length, asked), room
    )


def fitting(
    order: Tensor, lengths: Tensor, cost: Callable[[int], int], room: float
) -> Iterator[Tensor]:
    """Runs of `order`, whose rows rise in length, as long as their rows, each at the cost of the
    longest, have room; one row at least."""
    sizes = [0]
    for row in order.tolist():
        if sizes[-1] and (sizes[-1] + 1) * cost(int(lengths[row])) > room:
            sizes.append(0)
        sizes[-1] += 1
    yield from order.split(sizes)


def row_bytes(backbone: EncoderDecoder, tokens: int, asked: job_pb2.Generation) -> int:
    """What generating for a text of so many tokens holds: its keys and values in every layer, those
    of each beam twice, and what is said of each word of the vocabulary."""
    of_token = (
        2
        * backbone.sizes["num_decoder_layers"]
        * backbone.attention_width
        * backbone.dtype.itemsize
    )
    words = _COPIES_OF_WORDS * backbone.vocabulary * torch.float32.itemsize
    return tokens * of_token + asked.beams * (2 * asked.max_length * of_token + words)


def _modules(
    backbone: EncoderDecoder, company: Sequence[Adapted], is_stacked: bool
) -> TrialModules:
    if not is_stacked:
        (trial,) = company
        return TrialModules(trial.adapter, trial.tensors, dropout=None)
    # Masks are in the weights.
    trials = [
        StackedTrial(one.adapter, one.layout, one.layout.flatten(one.tensors), {})
        for one in company
    ]
    modules, _ = Stack.of(trials, backbone, job_pb2.TASK_KIND_SUMMARIZATION).modules(None)
    return modules


def _ragged(texts: list[Tensor]) -> Tensors:
    lengths = torch.tensor([text.numel() for text in texts])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return {"generated_ids": torch.cat(texts).to(torch.int32), "generated_offsets": offsets}
