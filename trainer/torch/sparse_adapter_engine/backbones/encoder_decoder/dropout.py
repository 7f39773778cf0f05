"""Dropout for a batch that is computed in groups, each with its own random streams."""

from dataclasses import dataclass

from torch import Tensor

from sparse_adapter_engine.modules.dropout import Drops
from sparse_adapter_engine.modules.sites import AttentionDropout


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
