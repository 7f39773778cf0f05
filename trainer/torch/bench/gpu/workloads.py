"""What is measured: backbones' shapes, rows' lengths, and random rows that can be learned."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Lower ids are padding, ends, or a class's word.
_FIRST_WORD = 10
_PADDING = 1


@dataclass(frozen=True)
class Shape:
    """Sizes of a RoBERTa."""

    name: str
    hidden: int
    inner: int
    layers: int
    heads: int
    vocabulary: int = 50_265

    def small(self) -> "Shape":
        """A small one with the same name, for a rehearsal."""
        return replace(self, hidden=64, inner=128, layers=2, heads=4, vocabulary=500)

    def narrow(self) -> "Shape":
        """As narrow as possible, with the same layers: a step launches equally many kernels."""
        return replace(self, hidden=24, inner=96, heads=3, vocabulary=500)


ROBERTA_BASE = Shape("roberta-base", 768, 3072, 12, 12)
MINILM = Shape("MiniLM", 384, 1536, 6, 12)
ROBERTA_LARGE = Shape("roberta-large", 1024, 4096, 24, 16)


@dataclass(frozen=True)
class Lengths:
    """Tokens per row: normal with this mean and deviation, rounded, within [least, most]."""

    name: str
    mean: int
    deviation: int
    least: int
    most: int

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """int64 [count]."""
        drawn = torch.empty(count).normal_(self.mean, self.deviation, generator=random)
        return drawn.round().long().clamp(self.least, self.most)


MRPC = Lengths("MRPC-like", 53, 15, 20, 100)
COLA = Lengths("CoLA-like", 11, 4, 5, 25)
FULL = Lengths("128 tokens", 128, 0, 128, 128)


@dataclass(frozen=True)
class RandomRows:
    """ids: int64 [tokens]; offsets: int64 [rows + 1]; labels: int64 [rows], one of two classes, or
    [rows, 2], the places of an answer's first and last token."""

    ids: Tensor
    offsets: Tensor
    labels: Tensor

    @property
    def lengths(self) -> Tensor:
        return self.offsets.diff()

    @property
    def rows(self) -> int:
        return self.labels.shape[0]

    @property
    def tokens_a_row(self) -> float:
        return self.ids.numel() / self.rows

    def padded(self, rows: Tensor, to: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """ids and mask, int64 [rows, length], and labels of these rows (int64 [n]); length: `to`,
        or that of the longest row."""
        lengths = self.lengths[rows]
        places = torch.arange(to or int(lengths.max()))
        mask = places < lengths[:, None]
        tokens = (self.offsets[rows, None] + places).clamp(max=self.ids.numel() - 1)
        return self.ids[tokens].where(mask, _PADDING), mask.long(), self.labels[rows]


def random_rows(lengths: Tensor, shape: Shape, answers: bool = False, seed: int = 1) -> RandomRows:
    """Rows of these lengths (int64 [rows]). About a quarter of a row's tokens reveal its class, so
    that a model can learn it. answers: each row has an answer's places instead."""
    random = torch.Generator().manual_seed(seed)
    total, rows = int(lengths.sum()), len(lengths)
    ids = torch.randint(_FIRST_WORD, shape.vocabulary, (total,), generator=random)
    classes = torch.randint(0, 2, (rows,), generator=random)
    telling = torch.rand(total, generator=random) < 0.25
    ids = torch.where(telling, 5 + classes.repeat_interleave(lengths), ids)
    labels = classes
    if answers:
        drawn = torch.rand(rows, 2, generator=random) * lengths[:, None]
        labels = drawn.long().sort(dim=1).values
    return RandomRows(ids, torch.nn.functional.pad(lengths.cumsum(0), (1, 0)), labels)


def useful_operations(
    shape: Shape,
    tokens: float,
    rows: int,
    width: float,
    every_token: bool = False,
) -> float:
    """Additions and multiplications in a step's matrix products, for Houlsby adapters of this
    width: real tokens only, without attention's own products and the head. No gradient goes below
    the first adapter, and the last layer's output is needed only for each row's first token or, for
    question answering, for every token."""
    d, f = shape.hidden, shape.inner
    attention, layer = 2 * 4 * d * d, 2 * (4 * d * d + 2 * d * f)
    key_value = 2 * 2 * d * d
    last = tokens * layer if every_token else tokens * key_value + rows * (layer - key_value)
    forward = tokens * (shape.layers - 1) * layer + last
    backward = forward - tokens * attention
    sites = 2 * (tokens * shape.layers if every_token else tokens * (shape.layers - 1) + rows)
    # An adapter's products run three times: forward, and for the gradients of input and weights.
    return forward + backward + 3 * sites * 2 * 2 * d * width
