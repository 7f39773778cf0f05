"""Transformers' Trainer as its examples use it: every row padded to one length; the same adapters,
frozen encoder and dropout 0.

Needs the package `accelerate`, which nothing else in this project needs.
"""

import sys
import tempfile
from contextlib import redirect_stdout

import torch
import torch.nn.functional as F
from careful_loop import AdaptedClassifier, adapted_encoder
from rows import MRPC_BATCH, SQUAD_BATCH, SQUAD_LONGEST, WIDTH, Row, mrpc, squad
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments


class _WithoutDropout(nn.Module):
    def train(self, mode: bool = True) -> "_WithoutDropout":
        """Trainer turns training mode on; dropout stays off, as in the other contenders."""
        return super().train(False)


class _WithLoss(_WithoutDropout):
    def __init__(self, classifier: AdaptedClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        logits = self.classifier(input_ids, token_type_ids, attention_mask)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class _AdaptedSpans(_WithoutDropout):
    """A frozen encoder with adapters, and a trained output for start and end per token."""

    def __init__(self, backbone: str, width: int) -> None:
        super().__init__()
        self.encoder, self.adapters = adapted_encoder(backbone, width)
        self.out = nn.Linear(self.encoder.config.hidden_size, 2)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        states = self.encoder(
            input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask
        ).last_hidden_state
        logits = self.out(states).masked_fill(attention_mask[..., None] == 0, -torch.inf)
        losses = [F.cross_entropy(logits[..., which], labels[:, which]) for which in (0, 1)]
        return {"loss": (losses[0] + losses[1]) / 2, "logits": logits}


class HuggingFaceTrainer:
    """Trains without end; each `run` is one short Trainer.train."""

    def __init__(
        self, model: nn.Module, rows: list[Row], labels: Tensor, batch_size: int, padded: int
    ) -> None:
        """labels: [rows, …], what the model's forward takes for each row. padded: tokens per row,
        with padding."""
        self.model, self.batch_size = model, batch_size
        self.dataset = [
            self._padded(row, label, padded) for row, label in zip(rows, labels, strict=True)
        ]

    @staticmethod
    def _padded(row: Row, label: Tensor, padded: int) -> dict[str, Tensor]:
        length = len(row["input_ids"])
        tensors = {
            name: torch.tensor(values + [0] * (padded - length)) for name, values in row.items()
        }
        mask = torch.tensor([1] * length + [0] * (padded - length))
        return tensors | {"attention_mask": mask, "labels": label}

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had."""
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
            # Trainer prints a summary, and standard output is for results.
            with redirect_stdout(sys.stderr):
                Trainer(self.model, arguments, train_dataset=self.dataset).train()
        return steps * self.batch_size


def mrpc_trainer(backbone: str) -> HuggingFaceTrainer:
    rows, labels = mrpc(backbone)
    model = _WithLoss(AdaptedClassifier(backbone, WIDTH))
    return HuggingFaceTrainer(model, rows, torch.tensor(labels), MRPC_BATCH, padded=128)


def squad_trainer(backbone: str) -> HuggingFaceTrainer:
    rows, places = squad(backbone)
    model = _AdaptedSpans(backbone, WIDTH)
    return HuggingFaceTrainer(model, rows, torch.tensor(places), SQUAD_BATCH, SQUAD_LONGEST)
