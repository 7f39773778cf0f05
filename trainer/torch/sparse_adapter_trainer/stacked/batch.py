"""Rows of several trials laid out alike: the same number of tokens and of rows for each.

A trial's rows are followed by rows of padding that fill it up. No loss reads those, so their
gradients are exactly 0. Sizes are rounded up, so that a graph captured for one batch serves others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from ..adapter_forms import has_prefix, prompt_length
from ..attention import AttentionDropout
from ..attention import Prefix as PrefixOfTrial
from ..dataset import PackedRows, Split
from .attention import Attend, Spans
from .prefixes import PrefixPlaces


class BatchShape(NamedTuple):
    """What a graph is captured for. tokens, rows: of each trial, padding included; longest: tokens of
    a row at most."""

    trials: int
    tokens: int
    rows: int
    longest: int


def shape_of(packs: Sequence[PackedRows]) -> BatchShape:
    """The smallest rounded shape that holds these packs, one a trial."""
    most = max(pack.tokens for pack in packs)
    # At most a sixteenth more: a power of two, so that few shapes occur.
    grain = min(max(1 << (most // 16).bit_length() - 1, 16) if most >= 16 else 16, 512)
    tokens = _up(most, grain)
    longest = max(length for pack in packs for _, length in pack.groups)
    longest = _up(longest, 32) if longest <= 128 else _up(longest, 128)
    rows = max(pack.rows + -(-(tokens - pack.tokens) // longest) for pack in packs)
    return BatchShape(len(packs), tokens, _up(rows, 8), longest)


def _up(n: int, grain: int) -> int:
    return -(-n // grain) * grain


@dataclass(frozen=True)
class Section:
    """One tensor in the bytes of a batch."""

    begin: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def end(self) -> int:
        return self.begin + torch.empty((), dtype=self.dtype).element_size() * _product(self.shape)

    def of(self, data: Tensor) -> Tensor:
        return data[self.begin : self.end].view(self.dtype).view(self.shape)


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result


def sections(shape: BatchShape, label_dtype: torch.dtype, label_width: int) -> dict[str, Section]:
    """Where a batch's tensors lie in its bytes, which go to the device in one copy."""
    trials, tokens, rows, _ = shape
    n, r = trials * tokens, trials * rows
    labels = (r,) if label_width == 1 else (r, label_width)
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "labels": (labels, label_dtype),
        "weights": ((r,), torch.float32),
        "input_ids": ((n,), torch.int32),
        "token_type_ids": ((n,), torch.int32),
        "position_ids": ((n,), torch.int32),
        "prompt": ((n,), torch.int32),
        "row_of": ((n,), torch.int32),
        "starts": ((r + 1,), torch.int32),
        "first": ((r,), torch.int32),
        "own": ((r,), torch.int32),
    }
    found: dict[str, Section] = {}
    at = 0
    for name, (size, dtype) in wanted.items():
        found[name] = Section(at, size, dtype)
        # Aligned as any kernel may want it.
        at = _up(found[name].end, 128)
    found["end"] = Section(at, (0,), torch.uint8)
    return found


def lay_out(
    packs: Sequence[PackedRows],
    prompts: Sequence[int],
    terms: Sequence[int],
    shape: BatchShape,
    pinned: bool,
) -> Tensor:
    """The bytes of a batch of these packs, one a trial, on the CPU. prompts: tokens of each trial's
    prompt in each of its rows; terms: of how many rows its loss is the mean."""
    labels = packs[0].labels
    width = 1 if labels.dim() == 1 else labels.shape[1]
    where = sections(shape, labels.dtype, width)
    data = torch.zeros(where["end"].begin, dtype=torch.uint8, pin_memory=pinned)
    views = {name: section.of(data) for name, section in where.items()}
    views["prompt"].fill_(-1)
    for place, (pack, prompt, term) in enumerate(zip(packs, prompts, terms, strict=True)):
        token, row = place * shape.tokens, place * shape.rows
        own = slice(token, token + pack.tokens)
        for name in ("input_ids", "token_type_ids", "position_ids", "prompt"):
            views[name][own] = getattr(pack, name).to(torch.int32)
        lengths = _lengths(pack, shape)
        ends = lengths.cumsum(0)
        views["starts"][row : row + shape.rows] = (token + ends - lengths).to(torch.int32)
        # A row without tokens begins behind the last: any place will do, nothing reads it.
        first = (token + ends - lengths).clamp(max=token + shape.tokens - 1)
        views["first"][row : row + shape.rows] = first.to(torch.int32)
        numbers = torch.arange(row, row + shape.rows, dtype=torch.int32)
        views["row_of"][token : token + shape.tokens] = numbers.repeat_interleave(lengths)
        views["labels"][row : row + pack.rows] = pack.labels
        views["weights"][row : row + pack.rows] = 1 / term
        views["own"][row : row + pack.rows] = (lengths[: pack.rows] - prompt).to(torch.int32)
    views["starts"][-1] = shape.trials * shape.tokens
    return data


def _lengths(pack: PackedRows, shape: BatchShape) -> Tensor:
    """int64 [rows of the shape]: of the pack's rows, and of rows that fill up what is left."""
    rows, length = (torch.tensor(values) for values in zip(*pack.groups, strict=True))
    lengths = torch.zeros(shape.rows, dtype=torch.int64)
    lengths[: pack.rows] = length.repeat_interleave(rows)
    left, row = shape.tokens - pack.tokens, pack.rows
    while left > 0:
        lengths[row] = min(left, shape.longest)
        left, row = left - int(lengths[row]), row + 1
    return lengths


@dataclass(frozen=True)
class StackedRows:
    """A batch on the device, as `encode` wants it (Rows of packed_encoder.py). data: bytes as of
    `lay_out`; stacks: how many trials each Modules has; attention: the operation to use; prefixes:
    where prefixes go, None where no trial has one."""

    shape: BatchShape
    data: Tensor
    label_dtype: torch.dtype
    label_width: int
    stacks: Sequence[int]
    attention: Attend
    prefixes: PrefixPlaces | None = None

    def with_prefixes(self, prefixes: PrefixPlaces | None) -> "StackedRows":
        """The same rows for trials that have these."""
        return replace(self, prefixes=prefixes)

    @cached_property
    def _views(self) -> dict[str, Tensor]:
        where = sections(self.shape, self.label_dtype, self.label_width)
        return {name: section.of(self.data) for name, section in where.items()}

    @property
    def input_ids(self) -> Tensor:
        return self._views["input_ids"]

    @property
    def token_type_ids(self) -> Tensor:
        return self._views["token_type_ids"]

    @property
    def position_ids(self) -> Tensor:
        return self._views["position_ids"]

    @property
    def prompt(self) -> Tensor:
        return self._views["prompt"]

    @property
    def first(self) -> Tensor:
        return self._views["first"]

    @property
    def labels(self) -> Tensor:
        """[trials · rows (, 2)], 0 in rows of padding."""
        return self._views["labels"]

    @property
    def weights(self) -> Tensor:
        """float32 [trials · rows]: each row's share of its trial's mean loss, 0 in rows of padding."""
        return self._views["weights"]

    @property
    def own(self) -> Tensor:
        """int32 [trials · rows]: tokens of a row without its prompt, 0 in rows of padding."""
        return self._views["own"]

    @property
    def starts(self) -> Tensor:
        """int32 [trials · rows + 1]: where each row begins, and the end."""
        return self._views["starts"]

    @property
    def padded_tokens(self) -> tuple[Tensor, Tensor]:
        """See Spans.padded."""
        return self._token_spans.padded

    @property
    def token_sizes(self) -> list[int]:
        return [trials * self.shape.tokens for trials in self.stacks]

    @property
    def row_sizes(self) -> list[int]:
        return [trials * self.shape.rows for trials in self.stacks]

    @cached_property
    def _token_spans(self) -> Spans:
        return Spans(self.starts, self._views["row_of"], self.shape.longest)

    @cached_property
    def _first_spans(self) -> Spans:
        numbers = torch.arange(self.first.numel() + 1, device=self.data.device, dtype=torch.int32)
        return Spans(numbers, numbers[:-1], 1)

    @cached_property
    def _order(self) -> tuple[Tensor, Tensor]:
        assert self.prefixes is not None, "only where there are prefixes"
        return self.prefixes.order(self._token_spans)

    @cached_property
    def _key_spans(self) -> Spans:
        tokens = self._token_spans
        return self.prefixes.spans(tokens, self._order[0]) if self.prefixes else tokens

    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        dropouts: Sequence[AttentionDropout | None],
        prefixes: Sequence[PrefixOfTrial | None],
        heads: int,
        twice_differentiable: bool,
    ) -> Tensor:
        """See Rows."""
        assert not twice_differentiable and not any(dropouts), "such trials are not stacked"
        if self.prefixes:
            key_value = self.prefixes.put(key_value, prefixes, *self._order)
        of_tokens = query.shape[0] == self._token_spans.row_of.shape[0]
        queries = self._token_spans if of_tokens else self._first_spans
        return self.attention(query, key_value, heads, queries, self._key_spans)


def rows_of(shape: BatchShape, data: Tensor, split: Split, stacks: Sequence[int], attention: Attend) -> StackedRows:
    """A batch of a split's rows whose bytes are on the device."""
    width = 1 if split.labels.dim() == 1 else split.labels.shape[1]
    return StackedRows(shape, data, split.labels.dtype, width, stacks, attention)


def alone(pack: PackedRows, adapter: job_pb2.Adapter, attention: Attend, device: torch.device) -> StackedRows:
    """The rows of one trial, laid out as a stack of one: no attention is run row by row."""
    prompt, shape = prompt_length(adapter), shape_of([pack])
    data = lay_out([pack.to(torch.device("cpu"))], [prompt], [pack.rows], shape, pinned=False)
    width = 1 if pack.labels.dim() == 1 else pack.labels.shape[1]
    places = None
    if has_prefix(adapter):
        places = PrefixPlaces([adapter.attention_bottleneck], shape.rows, [1], device)
    return StackedRows(shape, data.to(device), pack.labels.dtype, width, [1], attention, places)
