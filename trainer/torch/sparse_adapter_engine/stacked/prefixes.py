"""Puts keys and values of prefixes before those of each row's tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sparse_adapter_engine.modules.sites import Prefix

from .attention import Spans


@dataclass
class PrefixPlaces:
    """For `rows` rows of each trial. lengths: of each trial's prefix, 0 if it has none; stacks: how
    many of the trials each stack has. A stack's prefixes are as long as its longest; the places
    beyond a trial's own are left out here."""

    lengths: Sequence[int]
    rows: int
    stacks: Sequence[int]
    device: torch.device
    # int32 [all rows]: total length of the prefixes up to and including each row's.
    _up_to: Tensor = field(init=False)
    # int32 [keys of all prefixes]: the row that each is for, and how many such keys come before it.
    _row_of: Tensor = field(init=False)
    _before: Tensor = field(init=False)
    # By stack: which of [trials · rows · longest] exist, None for all.
    _there: list[Tensor | None] = field(init=False)

    def __post_init__(self) -> None:
        own = torch.tensor(self.lengths).repeat_interleave(self.rows)
        self._up_to = own.cumsum(0).to(self.device, torch.int32)
        self._row_of = torch.arange(own.numel()).repeat_interleave(own).to(self.device, torch.int32)
        self._before = torch.arange(int(own.sum()), dtype=torch.int32, device=self.device)
        self._there = []
        at = 0
        for trials in self.stacks:
            lengths = self.lengths[at : at + trials]
            at += trials
            all_alike = len(set(lengths)) == 1
            numbers = torch.arange(max(lengths)).expand(trials, self.rows, -1)
            there = numbers < torch.tensor(lengths).view(-1, 1, 1)
            self._there.append(
                None if all_alike else there.reshape(-1).nonzero()[:, 0].to(self.device)
            )

    def order(self, tokens: Spans) -> tuple[Tensor, Tensor]:
        """int64: which of [tokens, prefixes' keys] is at each place, and the place of each."""
        numbers = torch.arange(tokens.row_of.numel(), dtype=torch.int32, device=self.device)
        own = numbers + self._up_to.index_select(0, tokens.row_of)
        # Before a prefix's keys come the earlier prefixes' keys, and the tokens of earlier rows.
        given = tokens.starts.index_select(0, self._row_of) + self._before
        places = torch.cat([own, given]).long()
        order = torch.empty_like(places)
        order.scatter_(0, places, torch.arange(places.numel(), device=self.device))
        return order, places

    def spans(self, tokens: Spans, order: Tensor) -> Spans:
        """The spans of keys, given those of the tokens."""
        starts = tokens.starts.clone()
        starts[1:] += self._up_to
        row_of = torch.cat([tokens.row_of, self._row_of]).index_select(0, order)
        return Spans(starts, row_of, tokens.longest + max(self.lengths))

    def put(
        self,
        key_value: Tensor,
        prefixes: Sequence[Prefix | None],
        order: Tensor,
        places: Tensor,
    ) -> Tensor:
        """key_value [tokens, 2 d] with the prefixes of each stack, [(trials,) longest, d] each,
        before the keys and values of each row."""
        rows = [key_value]
        for prefix, there in zip(prefixes, self._there, strict=True):
            if prefix is not None:
                pair = torch.cat(prefix, -1)
                pair = pair.view(-1, *pair.shape[-2:])
                of_rows = pair.unsqueeze(1).expand(-1, self.rows, -1, -1)
                of_rows = of_rows.reshape(-1, pair.shape[-1])
                rows.append(of_rows if there is None else of_rows.index_select(0, there))
        result: Tensor = _Reorder.apply(torch.cat(rows), order, places)
        return result


class _Reorder(torch.autograd.Function):
    """Puts rows in another order. Its gradient gathers too, so that sums have a fixed order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return gradient.index_select(0, places), None, None
