"""Reads what to train from standard input, trains it with Transformers' Trainer and the package
`adapters`, and prints the time per step.

A separate program: `adapters` needs its own version of Transformers, so this may run under another
Python than the benchmark, and imports nothing from it."""

import json
import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Any

import adapters
import torch
from adapters import AdapterTrainer
from torch.utils.data import Dataset
from transformers import (
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainerCallback,
    TrainingArguments,
)

PADDED_TO, PADDING, FIRST_WORD = 128, 1, 10


class Padded(Dataset):
    """Random rows of these lengths, each padded to 128 tokens, as Transformers' examples do by
    default."""

    def __init__(self, lengths: list[int], vocabulary: int) -> None:
        random = torch.Generator().manual_seed(1)
        self.mask = torch.arange(PADDED_TO) < torch.tensor(lengths)[:, None]
        drawn = torch.randint(FIRST_WORD, vocabulary, self.mask.shape, generator=random)
        self.ids = drawn.where(self.mask, PADDING)
        self.labels = torch.randint(0, 2, (len(lengths),), generator=random)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        mask = self.mask[row].long()
        return {"input_ids": self.ids[row], "attention_mask": mask, "labels": self.labels[row]}


class Clock(TrainerCallback):
    """Records when the first half of the steps, which warm up, ended, and when all did."""

    def __init__(self, steps: int) -> None:
        self.steps, self.at = steps, {}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in (self.steps // 2, self.steps):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.at[state.global_step] = time.perf_counter()

    def ms(self) -> float:
        half = self.steps // 2
        return (self.at[self.steps] - self.at[half]) / (self.steps - half) * 1e3


def main() -> None:
    asked = json.load(sys.stdin)
    shape, on_gpu = asked["shape"], asked["device"] == "cuda"
    config = RobertaConfig(
        vocab_size=shape["vocabulary"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["inner"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        max_position_embeddings=514,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=PADDING,
    )
    torch.manual_seed(1)
    model = RobertaForSequenceClassification(config)
    adapters.init(model)
    reduction = shape["hidden"] / asked["width"]
    model.add_adapter("houlsby", config=adapters.DoubleSeqBnConfig(reduction_factor=reduction))
    model.train_adapter("houlsby")
    model.set_active_adapters("houlsby")
    clock = Clock(asked["steps"])
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=asked["steps"],
            per_device_train_batch_size=asked["batch"],
            learning_rate=1e-3,
            weight_decay=0.01,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=on_gpu,
            use_cpu=not on_gpu,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        rows = Padded(asked["lengths"], shape["vocabulary"])
        AdapterTrainer(model=model, args=arguments, train_dataset=rows, callbacks=[clock]).train()
    peak = round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None
    versions = {name: version(name) for name in ("adapters", "transformers")}
    print(json.dumps({"ms": clock.ms(), "peak_gib": peak, "versions": versions}))


if __name__ == "__main__":
    main()
