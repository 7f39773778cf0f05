"""What users run: Transformers' model with Houlsby adapters as forward hooks, one trial at a time,
with bf16 autocast."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .models import random_roberta
from .workloads import RandomRows, Shape


class Bottleneck(nn.Module):
    """x + up(relu(down(LN(x))))."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.down, self.up = nn.Linear(hidden, width), nn.Linear(width, hidden)
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(F.relu(self.down(self.norm(x))))

    def stand_after(self, module: nn.Module) -> None:
        module.register_forward_hook(lambda _, inputs, output: self(output))


class _Layer(nn.Module):
    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.attention, self.ffn = Bottleneck(hidden, width), Bottleneck(hidden, width)


class _Head(nn.Module):
    def __init__(self, hidden: int, answers: bool) -> None:
        super().__init__()
        if not answers:
            self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 2)


class _Trained(nn.Module):
    """Its parameters have the names that Adapter of job.proto gives them."""

    def __init__(self, shape: Shape, width: int, answers: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(shape.hidden, width) for _ in range(shape.layers))
        self.head = _Head(shape.hidden, answers)


class Baseline:
    """One trial: each batch is padded to its longest row, or to `padded_to` tokens; gradients
    clipped to norm 1, fused AdamW.

    autocast: products in bf16, as with Trainer's `bf16=True`; otherwise everything is float32, with
    TF32 off."""

    BATCH_SEED = 3

    def __init__(
        self,
        shape: Shape,
        rows: RandomRows,
        device: torch.device,
        width: int,
        batch: int,
        padded_to: int | None = None,
        autocast: bool = True,
    ) -> None:
        self.device, self.rows, self.batch = device, rows, batch
        self.padded_to, self.autocast = padded_to, autocast
        self.answers = rows.labels.ndim == 2
        torch.set_float32_matmul_precision("highest")
        self.model = random_roberta(shape, device)
        torch.manual_seed(1)
        self.trained = _Trained(shape, width, self.answers).to(device)
        for layer, own in zip(self.model.encoder.layer, self.trained.layers, strict=True):
            own.attention.stand_after(layer.attention.output.dense)
            own.ffn.stand_after(layer.output.dense)
        self.optimizer = fused_adamw(self.trained.parameters())
        self._random = torch.Generator().manual_seed(self.BATCH_SEED)
        self._order = torch.empty(0, dtype=torch.int64)
        # Tokens computed, with padding, and real ones.
        self.computed = self.real = 0

    @property
    def padding(self) -> float:
        """Tokens of padding over real ones."""
        return self.computed / self.real - 1

    def loss(self, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            head = self.trained.head
            if self.answers:
                logits = head.out(states).float().masked_fill(mask[..., None] == 0, -torch.inf)
                return F.cross_entropy(logits, labels)
            logits = head.out(torch.tanh(head.dense(states[:, 0])))
        return F.cross_entropy(logits.float(), labels)

    def visit_lengths(self) -> None:
        """Does a step at each length that a batch may be padded to. Libraries take 0.1 s to choose
        kernels for each new shape: negligible in a night of training, but not in a few seconds."""
        if self.padded_to is not None:
            return
        lengths = self.rows.offsets.diff()
        for longest in range(int(lengths.median()), int(lengths.max()) + 1):
            fitting = (lengths <= longest).nonzero().squeeze(1)
            self._step_with(fitting[: self.batch], longest)

    def step(self) -> None:
        self._step_with(self._next_rows(), self.padded_to)

    def _step_with(self, rows: Tensor, padded_to: int | None) -> None:
        ids, mask, labels = self.rows.padded(rows, padded_to)
        self.computed, self.real = self.computed + mask.numel(), self.real + int(mask.sum())
        if self.device.type == "cuda":
            ids, mask, labels = (each.pin_memory() for each in (ids, mask, labels))
        moved = [each.to(self.device, non_blocking=True) for each in (ids, mask, labels)]
        update(self.loss(*moved), self.optimizer, self.trained.parameters())

    def gradient(self, weights: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
        """The loss's gradient at these weights for these rows, by names as in job.proto."""
        self.trained.load_state_dict(weights)
        self.optimizer.zero_grad()
        self.loss(*(each.to(self.device) for each in self.rows.padded(rows))).backward()
        return {name: parameter.grad.clone() for name, parameter in self.trained.named_parameters()}

    def _next_rows(self) -> Tensor:
        if len(self._order) < self.batch:
            self._order = torch.randperm(self.rows.rows, generator=self._random)
        batch, self._order = self._order[: self.batch], self._order[self.batch :]
        return batch


def fused_adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, fused=True)


def update(loss: Tensor, optimizer: Any, parameters: Iterable[nn.Parameter]) -> None:
    """Backward, clipping and the optimizer's step."""
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad()
