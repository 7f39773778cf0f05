"""Generating texts for a split with encoder–decoders: which rows and which trials at once.

Batches have rows of similar length. On a CPU they are small and hold one trial, so that a text does
not depend on other trials. On a GPU they are as large as a share of its memory allows, and hold all
trials that may be stacked.
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

# Larger batches are no faster on a CPU, which spends most of the time in products: 8, 16 and 24
# rows with 6 beams were within 3 %.
_CPU_ROWS = 8
# The share of a GPU's memory for what `row_bytes` counts; as much again is temporary, and the model
# needs some too.
_GPU_SHARE = 0.25
# Float32 copies per word: logits, logarithms, and what selecting the best needs.
_COPIES_OF_WORDS = 4


def group_companies(trials: Sequence[Adapted], is_stacked: bool) -> list[list[Adapted]]:
    """Which trials generate together: those of one form if trials are stacked, else each by
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
    """generated_ids and generated_offsets (see Trial in job.proto) for each trial of a company.
    passed: called with the number of rows in each batch, over all trials; may raise to stop.

    Raises JobFailed (OUT_OF_MEMORY) if not even one row fits on the device.
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
            # Outside the handler, where the error's frames would keep tensors alive.
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
    """Each batch's rows (int64), shortest first. lengths: int64 [rows], of texts with prompts."""
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
    """Runs of `order`, whose rows increase in length: as many rows as fit, each at the cost of the
    longest, but at least one."""
    sizes = [0]
    for row in order.tolist():
        if sizes[-1] and (sizes[-1] + 1) * cost(int(lengths[row])) > room:
            sizes.append(0)
        sizes[-1] += 1
    yield from order.split(sizes)


def row_bytes(backbone: EncoderDecoder, tokens: int, asked: job_pb2.Generation) -> int:
    """Memory for generating from a text of `tokens` tokens: its keys and values in every layer,
    those of each beam twice, and values for each word of the vocabulary."""
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
    # The weights are already masked.
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
