r"""Training a BART of random weights with Houlsby adapters on XSum's documents: contenders take
turns in one process.

    SA_ORCH_DATA=<dir with xsum/ and vocab/> \
        python summarize_side_by_side.py [--rounds 4] [--steps 1] [--threads 2]

"train" is this project's step, with rows in groups of similar length; "together" is the same
without groups; "train_bf16" has the frozen model in bfloat16; "loop" is Transformers' model with
adapters as forward hooks, each batch padded to its longest document and summary. Batches have 16
rows, in a fixed order. Prints rows per second and the ratios as one JSON object.
"""

import argparse
import json
import tempfile

# Before torch: sets how idle OpenMP threads wait, for every contender.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
import torch.nn.functional as F
from careful_loop import adapt
from cohort_loop import HOULSBY, WIDTH
from generate_side_by_side import LONGEST, write_bart
from rows import xsum_pairs
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSeq2SeqLM
from turns import Contender, take_turns

from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import CPU_GROUP_TOKENS, ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.device.threads import use_threads
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.training.optimizer import AdamW, clip

ROWS, BATCH, LONGEST_TARGET = 64, 16, 62
SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION
TRAIN = job_pb2.Train(
    learning_rate=1e-3,
    weight_decay=0.1,
    max_grad_norm=1.0,
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    total_steps=10_000,
)
Pairs = list[tuple[list[int], list[int]]]


class Training:
    """This project's step, for one trial."""

    def __init__(self, path: str, pairs: Pairs, precision: int, group_tokens: float) -> None:
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
        self.batches = torch.arange(len(pairs)).split(BATCH)

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


class Loop:
    """Transformers' model with adapters as forward hooks, each batch padded to its longest."""

    def __init__(self, path: str, pairs: Pairs) -> None:
        self.model = (
            AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="sdpa")
            .eval()
            .requires_grad_(False)
        )
        encoder, decoder = self.model.model.encoder.layers, self.model.model.decoder.layers
        outputs = [
            out for layer in (*encoder, *decoder) for out in (layer.self_attn.out_proj, layer.fc2)
        ]
        adapters = adapt(
            [*outputs, *(layer.encoder_attn.out_proj for layer in decoder)],
            self.model.config.d_model,
            WIDTH,
        )
        self.trained = list(adapters.parameters())
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=TRAIN.learning_rate, weight_decay=TRAIN.weight_decay, fused=True
        )
        self.batches, self.done = [pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH)], 0

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            batch = self.batches[self.done % len(self.batches)]
            ids = padded([document for document, _ in batch], 1)
            labels = padded([summary for _, summary in batch], -100)
            self.model(
                input_ids=ids, attention_mask=(ids != 1).long(), labels=labels
            ).loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained, TRAIN.max_grad_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.done += 1
            rows += len(batch)
        return rows


def ragged(pairs: Pairs, which: int) -> tuple[Tensor, Tensor]:
    """All tokens of the documents, or of the summaries, and the offsets of the rows."""
    rows = [pair[which] for pair in pairs]
    return torch.tensor([token for row in rows for token in row]), F.pad(
        torch.tensor([len(row) for row in rows]).cumsum(0), (1, 0)
    )


def padded(rows: list[list[int]], value: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    threads = use_threads(arguments.threads)
    pairs = xsum_pairs(ROWS, LONGEST, LONGEST_TARGET)
    float32, bf16 = job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16
    with tempfile.TemporaryDirectory() as path:
        write_bart(path)
        contenders: dict[str, Contender] = {
            "train": Training(path, pairs, float32, CPU_GROUP_TOKENS),
            "together": Training(path, pairs, float32, ONE_GROUP),
            "train_bf16": Training(path, pairs, bf16, CPU_GROUP_TOKENS),
            "loop": Loop(path, pairs),
        }
    result = take_turns(contenders, arguments.rounds, arguments.steps, warm_up=1)
    print(json.dumps({"threads": threads, "rows": len(pairs)} | result, indent=2))


if __name__ == "__main__":
    main()
