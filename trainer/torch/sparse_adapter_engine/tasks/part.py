"""What one trial brings to a pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules


class Pack(Protocol):
    """Rows of one trial, laid out for its family's backbone."""

    @property
    def rows(self) -> int: ...
    @property
    def tokens(self) -> int:
        """Tokens that the model computes."""

    @property
    def terms(self) -> int:
        """How many terms the mean of the loss has."""

    @property
    def labels(self) -> Tensor:
        """What is to be learned from them."""


class _Movable(Pack, Protocol):
    def to(self: "P", device: torch.device) -> "P":
        """The same rows on a device."""


P = TypeVar("P", bound=_Movable)
P_co = TypeVar("P_co", bound=_Movable, covariant=True)


class Packing(Protocol[P_co]):
    """A split that lays out its rows."""

    def pack(self, rows: Tensor, prompt: int = 0) -> P_co:
        """These rows (int64 [n]), each with room for `prompt` tokens of a prompt."""


@dataclass(frozen=True)
class Part(Generic[P]):
    """Some rows of a trial, and its modules. owner: whose part it is, for the caller."""

    owner: int
    pack: P
    modules: TrialModules

    @staticmethod
    def of(owner: int, split: Packing[P], rows: Tensor, modules: TrialModules) -> "Part[P]":
        """A split's rows (int64 [n]) for these modules: with room for their prompt, on their
        device."""
        pack = split.pack(rows, prompt_length(modules.adapter))
        return Part(owner, pack.to(next(iter(modules.tensors.values())).device), modules)


def fill_passes(parts: Sequence[Part[P]], pass_tokens: int) -> list[list[Part[P]]]:
    """Groups whole parts, in their order, into passes of at most pass_tokens tokens. A larger part
    gets a pass of its own."""
    result: list[list[Part[P]]] = []
    tokens = 0
    for part in parts:
        if not result or tokens + part.pack.tokens > pass_tokens:
            result.append([])
            tokens = 0
        result[-1].append(part)
        tokens += part.pack.tokens
    return result
