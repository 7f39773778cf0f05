"""Transformers' Trainer as its examples use it: every row padded to 128 tokens; the same adapters, frozen encoder and dropout 0.

Needs the package `accelerate`, which nothing else of this project does.
"""

import sys
import tempfile
from contextlib import redirect_stdout

import torch
import torch.nn.functional as F
from careful_loop import AdaptedClassifier
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

PADDED = 128


class _WithLoss(nn.Module):
    def __init__(self, classifier: AdaptedClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def train(self, mode: bool = True) -> "_WithLoss":
        """Trainer turns training mode on; dropout stays off, as in the other contenders."""
        return super().train(False)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(input_ids, token_type_ids, attention_mask)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class HuggingFaceTrainer:
    """Trains on; each `run` is one short Trainer.train."""

    def __init__(self, backbone: str, rows: list[dict[str, list[int]]], labels: list[int], batch_size: int, width: int) -> None:
        self.model, self.batch_size = _WithLoss(AdaptedClassifier(backbone, width)), batch_size
        self.dataset = [self._padded(row, label) for row, label in zip(rows, labels, strict=True)]

    @staticmethod
    def _padded(row: dict[str, list[int]], label: int) -> dict[str, Tensor]:
        length = len(row["input_ids"])
        tensors = {name: torch.tensor(values + [0] * (PADDED - length)) for name, values in row.items()}
        mask = torch.tensor([1] * length + [0] * (PADDED - length))
        return tensors | {"attention_mask": mask, "labels": torch.tensor(label)}

    def run(self, steps: int) -> int:
        """Trains so many steps and returns the rows of them."""
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=self.batch_size,
                learning_rate=1e-3,
                weight_decay=0.1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                logging_strategy="no",
                use_cpu=True,
            )
            # Trainer prints its summary; standard output is for results.
            with redirect_stdout(sys.stderr):
                Trainer(self.model, arguments, train_dataset=self.dataset).train()
        return steps * self.batch_size
