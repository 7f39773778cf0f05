"""Rows of several trials in one layout: the same number of tokens and rows for each.

Rows of padding follow a trial's rows. No loss reads them, so their gradients are exactly 0. Sizes
are rounded up so that a graph captured for one batch serves others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.data.rows import PackedRows, Split
from sparse_adapter_engine.modules.forms import has_prefix
from sparse_adapter_engine.modules.sites import AttentionDropout
from sparse_adapter_engine.modules.sites import Prefix as PrefixOfTrial

from .attention import Attend, Spans
from .prefixes import PrefixPlaces


class BatchShape(NamedTuple):
    """What a graph is captured for. tokens, rows: of each trial, with padding; longest: maximum
    tokens per row."""

    trials: int
    tokens: int
    rows: int
    longest: int


def choose_shape(tokens: Sequence[int], rows: Sequence[int], longest: int) -> BatchShape:
    """The smallest rounded shape that holds these tokens and rows of each trial. longest: maximum
    tokens per row."""
    most = max(tokens)
    # A power of two, at most a sixteenth of the tokens, so that few shapes occur.
    grain = min(max(1 << (most // 16).bit_length() - 1, 16) if most >= 16 else 16, 512)
    padded = _up(most, grain)
    longest = _up(longest, 32) if longest <= 128 else _up(longest, 128)
    needed = max(
        own + -(-(padded - of_own) // longest) for of_own, own in zip(tokens, rows, strict=True)
    )
    places = _up(needed, 8)
    # Tokens and rows are told apart by their counts, which must differ.
    return BatchShape(len(tokens), padded, places + 8 if places == padded else places, longest)


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
    """Where a batch's tensors lie in its bytes, which are copied to the device at once."""
    trials, tokens, rows, _ = shape
    n, r = trials * tokens, trials * rows
    labels = (r,) if label_width == 1 else (r, label_width)
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "labels": (labels, label_dtype),
        "before": ((2, trials), torch.int64),
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
        # Aligned for any kernel.
        at = _up(found[name].end, 128)
    found["end"] = Section(at, (0,), torch.uint8)
    return found


@dataclass(frozen=True)
class Chosen:
    """The rows in one part of a step. For each trial, rows: int64 [n], shortest first; prompts: its
    prompt's tokens per row; terms: how many rows its mean loss is over; before: its tokens and rows
    in earlier parts."""

    rows: Sequence[Tensor]
    prompts: Sequence[int]
    terms: Sequence[int]
    before: Sequence[tuple[int, int]]


def lay_out(split: Split, chosen: Chosen, pinned: bool) -> tuple[BatchShape, Tensor]:
    """The shape and the bytes of a batch, on the CPU. Uses NumPy for all trials at once, because a
    GPU's step may take less time than a few operations per trial."""
    counts = np.array([own.numel() for own in chosen.rows])
    rows, trial = torch.cat(list(chosen.rows)).numpy(), np.repeat(np.arange(counts.size), counts)
    offsets, prompts = split.offsets.numpy(), np.asarray(chosen.prompts)
    own = offsets[rows + 1] - offsets[rows]
    tokens = np.bincount(trial, own + prompts[trial], counts.size).astype(np.int64)
    shape = choose_shape(tokens.tolist(), counts.tolist(), int((own + prompts[trial]).max()))
    where = sections(shape, split.labels.dtype, _label_width(split))
    data = torch.zeros(where["end"].begin, dtype=torch.uint8, pin_memory=pinned)
    views = {name: section.of(data).numpy() for name, section in where.items()}

    # Each row's place among all rows, with padding.
    place = trial * shape.rows + np.arange(rows.size) - (counts.cumsum() - counts)[trial]
    lengths = np.zeros(shape.trials * shape.rows, np.int64)
    lengths[place] = own + prompts[trial]
    for index, (used, left) in enumerate(
        zip(counts.tolist(), (shape.tokens - tokens).tolist(), strict=True)
    ):
        (whole, rest), free = divmod(left, shape.longest), index * shape.rows + used
        lengths[free : free + whole] = shape.longest
        if rest:
            lengths[free + whole] = rest
    starts = lengths.cumsum() - lengths
    views["starts"][:-1], views["starts"][-1] = starts, shape.trials * shape.tokens
    # A row without tokens would begin past the end. Any place will do: nothing reads it.
    ends = np.repeat(np.arange(1, shape.trials + 1) * shape.tokens, shape.rows)
    views["first"][:] = np.minimum(starts, ends - 1)
    views["labels"][place] = split.labels.numpy()[rows]
    views["weights"][place] = 1 / np.asarray(chosen.terms)[trial]
    views["own"][place] = own
    views["before"][:] = np.asarray(chosen.before).T

    row_of = np.repeat(np.arange(lengths.size), lengths)
    views["row_of"][:] = row_of
    of_row, first = np.zeros(lengths.size, np.int64), np.zeros(lengths.size, np.int64)
    of_row[place], first[place] = own, offsets[rows]
    position = np.arange(row_of.size) - starts[row_of]
    is_own = position < of_row[row_of]
    position = np.where(is_own, position, 0)
    # Places of prompts and padding repeat some token: nothing reads it.
    source = first[row_of] + position
    views["input_ids"][:] = split.input_ids.numpy()[source]
    views["token_type_ids"][:] = split.token_type_ids.numpy()[source]
    views["position_ids"][:] = position
    # A prompt comes after its row's own tokens.
    after = np.arange(row_of.size) - starts[row_of] - of_row[row_of]
    views["prompt"][:] = np.where(is_own | (of_row[row_of] == 0), -1, after)
    return shape, data


@dataclass(frozen=True)
class StackedRows:
    """A batch on the device, as `encode` takes it (Rows of packed_encoder.py). data: bytes from
    `lay_out`; stacks: how many trials each Modules has; attention: the operation to use; prefixes:
    where prefixes go, None if no trial has one."""

    shape: BatchShape
    data: Tensor
    label_dtype: torch.dtype
    label_width: int
    stacks: Sequence[int]
    attention: Attend
    prefixes: PrefixPlaces | None = None

    def with_prefixes(self, prefixes: PrefixPlaces | None) -> "StackedRows":
        """The same rows with these prefixes."""
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
        """float32 [trials · rows]: each row's share of its trial's mean loss, 0 in rows of
        padding."""
        return self._views["weights"]

    @property
    def own(self) -> Tensor:
        """int32 [trials · rows]: tokens per row without its prompt, 0 in rows of padding."""
        return self._views["own"]

    @property
    def before(self) -> Tensor:
        """int64 [2, trials]: tokens and rows of each trial in earlier parts of the step."""
        return self._views["before"]

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
        befores: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """See Rows."""
        alone = twice_differentiable or any(dropouts) or befores
        assert not alone, "such trials are not stacked"
        if self.prefixes:
            key_value = self.prefixes.put(key_value, prefixes, *self._order)
        of_tokens = query.shape[0] == self._token_spans.row_of.shape[0]
        queries = self._token_spans if of_tokens else self._first_spans
        return self.attention(query, key_value, heads, queries, self._key_spans)


def view_rows(
    shape: BatchShape, data: Tensor, split: Split, stacks: Sequence[int], attention: Attend
) -> StackedRows:
    """A batch of a split's rows, given its bytes on the device."""
    return StackedRows(shape, data, split.labels.dtype, _label_width(split), stacks, attention)


def _label_width(split: Split) -> int:
    """Labels per row."""
    return 1 if split.labels.dim() == 1 else split.labels.shape[1]


def alone(
    pack: PackedRows, adapter: job_pb2.Adapter, attention: Attend, device: torch.device
) -> StackedRows:
    """One trial's rows as a stack of one, so that attention does not run row by row."""
    here = torch.device("cpu")
    ends = torch.tensor([pack.tokens])
    packed = Split(
        "pack",
        pack.input_ids.to(here),
        pack.token_type_ids.to(here),
        torch.cat([pack.first.to(here), ends]),
        pack.labels.to(here),
    )
    # The pack's tokens already include its prompts.
    chosen = Chosen([torch.arange(pack.rows)], [0], [pack.rows], [(0, 0)])
    shape, data = lay_out(packed, chosen, pinned=False)
    where = sections(shape, packed.labels.dtype, _label_width(packed))
    for name in ("position_ids", "prompt"):
        where[name].of(data)[: pack.tokens] = getattr(pack, name).to(here)
    rows = view_rows(shape, data.to(device), packed, [1], attention)
    if not has_prefix(adapter):
        return rows
    return rows.with_prefixes(PrefixPlaces([adapter.attention_bottleneck], shape.rows, [1], device))
