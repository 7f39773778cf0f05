"""This project's generation and training with a BART as contenders."""

# Before torch: sets how idle OpenMP threads wait.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
import torch.nn.functional as F
from bart import (
    BEAMS,
    GENERATE_BATCH,
    LEAST,
    MOST,
    NGRAM,
    TRAIN,
    TRAIN_BATCH,
    Pair,
    documents,
    pairs,
)
from cohort_loop import HOULSBY
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import CPU_GROUP_TOKENS, ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.training.optimizer import AdamW, clip

SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION


def predicting(model: str) -> "Predicting":
    return Predicting(model, documents())


def training(model: str, precision: str, in_groups: bool) -> "Training":
    """precision: a name in the contract. in_groups: whether rows of similar length are padded
    together."""
    return Training(
        model,
        pairs(),
        job_pb2.Precision.Value(precision),
        CPU_GROUP_TOKENS if in_groups else ONE_GROUP,
    )


class Predicting:
    """This project's prediction, one batch per step."""

    def __init__(self, path: str, documents: list[list[int]]) -> None:
        self.backbone = load_encoder_decoder(path, torch.device("cpu"))
        shapes = layout(HOULSBY, self.backbone, num_labels=0, task_kind=SUMMARIZATION).shapes
        self.modules = TrialModules(
            HOULSBY, initialize(job_pb2.Trial(seed=1, adapter=HOULSBY), shapes, None), dropout=None
        )
        offsets = F.pad(torch.tensor([len(each) for each in documents]).cumsum(0), (1, 0))
        ids = torch.tensor([token for document in documents for token in document])
        # Targets are not read, so one token each will do.
        targets, target_offsets = torch.full((len(documents),), 2), torch.arange(len(documents) + 1)
        self.split = PairSplit("validation", ids, offsets, targets, target_offsets)
        self.asked = job_pb2.Generation(
            beams=BEAMS, min_length=LEAST, max_length=MOST, no_repeat_ngram=NGRAM, length_penalty=1
        )
        self.batches, self.next = self.split.lengths.argsort(stable=True).split(GENERATE_BATCH), 0

    def run(self, steps: int) -> int:
        """Generates for `steps` batches and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            pack = self.split.pack(
                self.batches[self.next % len(self.batches)], group_tokens=ONE_GROUP
            )
            rows += len(self.backbone.generate(pack, self.modules, self.asked))
            self.next += 1
        return rows


class Training:
    """This project's step, for one trial."""

    def __init__(self, path: str, pairs: list[Pair], precision: int, group_tokens: float) -> None:
        self.backbone = load_encoder_decoder(path, torch.device("cpu"), precision)
        own = layout(HOULSBY, self.backbone, num_labels=0, task_kind=SUMMARIZATION)
        self.flat = own.flatten(
            initialize(job_pb2.Trial(seed=1, adapter=HOULSBY), own.shapes, None)
        )
        self.gradient = torch.zeros_like(self.flat)
        self.leaves = {
            name: view.detach().requires_grad_() for name, view in own.views(self.flat).items()
        }
        for name, view in own.views(self.gradient).items():
            self.leaves[name].grad = view
        self.optimizer = AdamW.fresh(self.flat, own.decayed)
        self.split, self.group_tokens, self.done = (
            PairSplit("train", *ragged(pairs, 0), *ragged(pairs, 1)),
            group_tokens,
            0,
        )
        self.batches = torch.arange(len(pairs)).split(TRAIN_BATCH)

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            pack = self.split.pack(
                self.batches[self.done % len(self.batches)], group_tokens=self.group_tokens
            )
            self.gradient.zero_()
            logits = self.backbone.logits(pack, TrialModules(HOULSBY, self.leaves, dropout=None))
            loss(SUMMARIZATION, logits, pack).backward()
            self.done += 1
            clip(self.gradient, float(torch.linalg.vector_norm(self.gradient)), TRAIN.max_grad_norm)
            with torch.no_grad():
                self.optimizer.update(self.flat, self.gradient, TRAIN, self.done)
            rows += pack.rows
        return rows


def ragged(pairs: list[Pair], which: int) -> tuple[Tensor, Tensor]:
    """All tokens of the documents, or of the summaries, and the offsets of the rows."""
    rows = [pair[which] for pair in pairs]
    return torch.tensor([token for row in rows for token in row]), F.pad(
        torch.tensor([len(row) for row in rows]).cumsum(0), (1, 0)
    )
