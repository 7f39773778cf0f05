"""What a frozen encoder gives the head, computed once for each row."""

from collections.abc import Callable, Sequence

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.packed_encoder import PackedTrials, encode
from sparse_adapter_engine.data.rows import PackedRows, Split
from sparse_adapter_engine.modules.trial_modules import TrialModules

from .part import Part, fill_passes

# Bytes of a split's states, at most: first tokens of 350,000 rows for MiniLM and of 170,000 for
# roberta-base, so of all GLUE tasks but MNLI and QQP; of questions, every token of some 2,000 rows
# for MiniLM. A cohort of eight adapters takes several times as much.
ROOM = 512 * 2**20

_NOTHING = TrialModules(job_pb2.Adapter(unfrozen=job_pb2.UNFROZEN_NONE), {}, dropout=None)


def states_size(backbone: Encoder, split: Split, every_token: bool) -> int:
    """Bytes of a split's states."""
    return 4 * _count(split, every_token) * backbone.hidden


def _count(split: Split, every_token: bool) -> int:
    return split.input_ids.numel() if every_token else split.rows


class FrozenStates:
    """The last hidden states of a split's rows, for trials that change nothing below the head:
    float32 [rows, d], of each row's first token, or [tokens, d], in the order of the split's
    tokens.

    They are computed when they are first needed, in blocks: `block_rows` rows at a time of the
    split sorted by length. So a row is always computed at the same shapes, and on a backbone with
    `row_invariant` its bits depend on backbone and split alone: not on which trials need it, or
    when.
    """

    def __init__(
        self, backbone: Encoder, split: Split, every_token: bool, block_rows: int, pass_tokens: int
    ) -> None:
        self._backbone, self._split, self._every_token = backbone, split, every_token
        self._pass_tokens = pass_tokens
        order = split.lengths.argsort(stable=True)
        self._blocks = order.split(block_rows)
        self._block_of = torch.empty_like(order)
        self._block_of[order] = torch.arange(split.rows) // block_rows
        self._known = torch.zeros(len(self._blocks), dtype=torch.bool)
        count = _count(split, every_token)
        self._states = torch.empty(count, backbone.hidden, device=backbone.device)

    @torch.no_grad()
    def compute(self, rows: Tensor, passed: Callable[[], None]) -> None:
        """Makes the states of these rows (int64 [n]) known. passed: called after each pass; may
        raise to stop."""
        wanted = self._block_of[rows].unique()
        parts = [
            Part(block, self._split.pack(self._blocks[block]).to(self._backbone.device), _NOTHING)
            for block in wanted[~self._known[wanted]].tolist()
        ]
        for group in fill_passes(parts, self._pass_tokens):
            packs = [part.pack for part in group]
            modules = [part.modules for part in group]
            found = encode(self._backbone, PackedTrials(packs), modules, self._every_token)
            for part, states in zip(group, found, strict=True):
                self._states[self._places(part.pack)] = states.float()
                self._known[part.owner] = True
            passed()

    def of(self, packs: Sequence[PackedRows]) -> list[Tensor]:
        """The states of each pack in its order, [rows, d] or [tokens, d]. packs: of this split,
        without prompts and padding."""
        self.compute(torch.cat([self._rows(pack) for pack in packs]), lambda: None)
        return [self._states[self._places(pack)] for pack in packs]

    def _rows(self, pack: PackedRows) -> Tensor:
        """int64 [rows]: which rows of the split a pack has, in its order."""
        return torch.searchsorted(self._split.offsets, pack.places[pack.first.cpu()])

    def _places(self, pack: PackedRows) -> Tensor:
        """Where the states of a pack are."""
        return pack.places if self._every_token else self._rows(pack)
