"""Dropout keyed by (trial seed, step, site): checkpoints hold nothing of it, and a trial drops the
same values in a cohort as alone."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sparse_adapter_engine.keys import generator
from sparse_adapter_engine.modules.sites import AttentionDropout


class Drops(Protocol):
    """Dropout of one step, for one trial or a stack of trials."""

    @property
    def probability(self) -> float:
        """The highest of the trials' probabilities."""

    def __call__(self, x: Tensor, site: str) -> Tensor:
        """x with each value set to 0 with its trial's probability p, the others scaled by 1 / (1 −
        p). site: names the stream of draws.
        """

    def attention(self, site: str) -> AttentionDropout | None:
        """What drops one attention's probabilities; None if nothing does."""


@dataclass(frozen=True)
class Dropout:
    """One trial's dropout at one step (the trial's own, counted from 1)."""

    seed: int
    step: int
    probability: float
    attention_probability: float

    def __call__(self, x: Tensor, site: str) -> Tensor:
        """x with each value set to 0 with `probability`, the others scaled by 1 / (1 −
        probability).
        """
        if self.probability == 0:
            return x
        return x * _factors(x.shape, x.device, self.probability, self._generator(site, x.device))

    def attention(self, site: str) -> AttentionDropout | None:
        """What drops one attention's probabilities, by one stream over the trial's rows in their
        order; None if nothing does."""
        if self.attention_probability == 0:
            return None
        stream: list[torch.Generator] = []

        def factors(shape: torch.Size, device: torch.device) -> Tensor:
            if not stream:
                stream.append(self._generator(f"{site}.weights", device))
            return _factors(shape, device, self.attention_probability, stream[0])

        return factors

    def _generator(self, site: str, device: torch.device) -> torch.Generator:
        return generator(self.seed, "dropout", self.step, site, device=device)


@dataclass(frozen=True)
class GroupDropout:
    """A step's dropout on a group after the first. The first group draws like a batch without
    groups."""

    of_step: Drops
    group: int

    @property
    def probability(self) -> float:
        """See Drops."""
        return self.of_step.probability

    def __call__(self, x: Tensor, site: str) -> Tensor:
        """See Drops."""
        return self.of_step(x, self._own(site))

    def attention(self, site: str) -> AttentionDropout | None:
        """See Drops."""
        return self.of_step.attention(self._own(site))

    def _own(self, site: str) -> str:
        return f"{site} of group {self.group}"


def _factors(
    shape: torch.Size, device: torch.device, probability: float, random: torch.Generator
) -> Tensor:
    """0 with `probability`, else 1 / (1 − probability)."""
    return (
        torch.empty(shape, device=device)
        .bernoulli_(1 - probability, generator=random)
        .div_(1 - probability)
    )
