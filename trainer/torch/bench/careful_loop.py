"""The loop that a careful engineer writes by hand.

One trial; batches of rows of similar length, padded to the batch's longest; fused attention; a
frozen Transformers encoder with Houlsby adapters as forward hooks; gradients for adapter and head
only; fused AdamW.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from rows import MRPC_BATCH, WIDTH, Row, mrpc
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel


class Adapter(nn.Module):
    """x + up(relu(down(LN(x))))."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.norm, self.down, self.up = (
            nn.LayerNorm(hidden),
            nn.Linear(hidden, width),
            nn.Linear(width, hidden),
        )
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.up(F.relu(self.down(self.norm(x))))
        return x + change


def adapt(outputs: Iterable[nn.Module], hidden: int, width: int) -> nn.ModuleList:
    """Puts an adapter after each of these projections, and returns the adapters."""
    adapters = nn.ModuleList()
    for dense in outputs:
        adapter = Adapter(hidden, width)
        adapters.append(adapter)
        dense.register_forward_hook(lambda _, inputs, output, adapter=adapter: adapter(output))
    return adapters


def adapted_encoder(backbone: str, width: int) -> tuple[Any, nn.ModuleList]:
    """A frozen encoder, and the adapters after each of its attention and feed-forward output
    projections.
    """
    encoder = (
        AutoModel.from_pretrained(backbone, attn_implementation="sdpa", add_pooling_layer=False)
        .eval()
        .requires_grad_(False)
    )
    outputs = [
        dense
        for layer in encoder.encoder.layer
        for dense in (layer.attention.output.dense, layer.output.dense)
    ]
    return encoder, adapt(outputs, encoder.config.hidden_size, width)


class AdaptedClassifier(nn.Module):
    """A frozen encoder with adapters after each attention and feed-forward output projection, and a
    trained head on the first token.
    """

    def __init__(self, backbone: str, width: int, labels: int = 2) -> None:
        super().__init__()
        self.encoder, self.adapters = adapted_encoder(backbone, width)
        hidden = self.encoder.config.hidden_size
        self.dense, self.out = nn.Linear(hidden, hidden), nn.Linear(hidden, labels)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [rows, labels]."""
        states = self.encoder(
            input_ids=input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask
        ).last_hidden_state
        logits: Tensor = self.out(torch.tanh(self.dense(states[:, 0])))
        return logits

    def trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def mrpc_loop(backbone: str) -> "CarefulLoop":
    return CarefulLoop(backbone, *mrpc(backbone), MRPC_BATCH, WIDTH)


class CarefulLoop:
    """Trains without end; each `run` does some more steps."""

    # Rows are sorted by length within this many batches: similar lengths, but still shuffled.
    BATCHES_A_POOL = 50

    def __init__(
        self,
        backbone: str,
        rows: list[Row],
        labels: list[int],
        batch_size: int,
        width: int,
    ) -> None:
        torch.manual_seed(1)
        self.model = AdaptedClassifier(backbone, width)
        self.ids = [torch.tensor(row["input_ids"]) for row in rows]
        self.types = [torch.tensor(row["token_type_ids"]) for row in rows]
        self.labels, self.batch_size = torch.tensor(labels), batch_size
        self.optimizer = torch.optim.AdamW(
            self.model.trained(), lr=1e-3, weight_decay=0.1, fused=True
        )
        self.batches = self._batches(random.Random(1))

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            chosen = next(self.batches)
            ids = pad_sequence([self.ids[row] for row in chosen], batch_first=True)
            types = pad_sequence([self.types[row] for row in chosen], batch_first=True)
            mask = pad_sequence(
                [torch.ones_like(self.ids[row]) for row in chosen], batch_first=True
            )
            loss = F.cross_entropy(self.model(ids, types, mask), self.labels[chosen])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.trained(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            rows += len(chosen)
        return rows

    def _batches(self, draw: random.Random) -> Iterator[list[int]]:
        while True:
            order = draw.sample(range(len(self.ids)), len(self.ids))
            batches = []
            for begin in range(0, len(order), self.batch_size * self.BATCHES_A_POOL):
                pool = sorted(
                    order[begin : begin + self.batch_size * self.BATCHES_A_POOL],
                    key=lambda row: len(self.ids[row]),
                )
                batches += [
                    pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size)
                ]
            yield from draw.sample(batches, len(batches))
