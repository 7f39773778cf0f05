"""A pass of an encoder–decoder's trials: one form, one stack, rows in groups of similar length."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.length_groups import GPU_GROUP_TOKENS
from sparse_adapter_engine.data.pairs import PaddedPairs, PairSplit
from sparse_adapter_engine.modules.forms import has_prefix, prompt_length

from .operations import Operations
from .stack import form
from .trained_stacks import TrainedStacks, TrainedStep, TrainedTrial

# More than one part's places, with padding.
_PART_PLACES = 100_000


def pair_form(adapter: job_pb2.Adapter) -> tuple[bytes, int]:
    """A key that is equal for adapters that may share a pass: those of one form with prefixes or
    prompts of equal length, because every query sees all of them."""
    seen = has_prefix(adapter) or prompt_length(adapter) > 0
    return form(adapter), adapter.attention_bottleneck if seen else 0


@dataclass(frozen=True)
class PairStep(TrainedStep):
    """packs: its rows in parts; terms: each trial's target tokens in all parts."""

    packs: list[PaddedPairs]
    terms: list[int]


class PairPass(TrainedStacks):
    """See TrainedStacks. trials: all with the same pair_form."""

    def __init__(
        self,
        backbone: EncoderDecoder,
        split: PairSplit,
        task_kind: int,
        trials: Sequence[TrainedTrial],
        operations: Operations,
        row_parts: int = 1,
    ) -> None:
        super().__init__(backbone, task_kind, trials, operations, row_parts)
        self._model, self._pairs = backbone, split
        self._smoothing = [trial.train.label_smoothing for trial in trials]

    def prepare(self, rows: Sequence[Tensor], steps: Sequence[int]) -> PairStep:
        """See TrainedStacks."""
        prompt, counts = prompt_length(self.trials[0].adapter), [own.numel() for own in rows]
        parts = min(self.row_parts, *counts)
        chunks = zip(*(own.tensor_split(parts) for own in rows), strict=True)
        packs = [self._pairs.pack_stack(chunk, prompt, GPU_GROUP_TOKENS) for chunk in chunks]
        terms = [sum(of_trial) for of_trial in zip(*(pack.terms_of for pack in packs), strict=True)]
        return PairStep(*self._settings_on_host(steps), counts, packs, terms)

    def _differentiate_all(self, given: TrainedStep) -> None:
        assert isinstance(given, PairStep), "what prepare has made"
        for place, pack in enumerate(given.packs):
            self._differentiate(pack.to(self._model.device), given.terms, place)

    def _differentiate(self, pack: PaddedPairs, terms: Sequence[int], part: int) -> None:
        """Computes losses and gradients of one part of the step's rows, and adds them to those of
        earlier parts. terms: how many terms each trial's mean loss is over."""
        # Places with padding determine what is dropped; each part has its own range of them.
        before = torch.full((2, len(self.trials)), part * _PART_PLACES, device=self._model.device)
        (stack,), (dropout,) = self._stacks, self._dropouts(before, tokens=0)
        modules, leaves = stack.modules(dropout)
        of_each = list(pack.terms_of)
        logits = self._model.logits(pack, modules).split(of_each)
        shares = zip(logits, pack.labels.split(of_each), self._smoothing, terms, strict=True)
        losses = torch.stack(
            [
                cross_entropy(own, labels, reduction="sum", label_smoothing=smoothing) / total
                for own, labels, smoothing, total in shares
            ]
        )
        self._keep(losses, leaves, add=part > 0)
