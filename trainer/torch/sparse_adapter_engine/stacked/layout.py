"""Where stacked trials' tensors lie in one matrix [K, total].

Each row is a trial. Columns are sorted into [prunable | other matrices | vectors] of the adapter
and [matrices | vectors] of the head. Within each, the tensors with the same place in every layer
are neighbours, so that one operation serves all layers and few copies join a gradient.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sparse_adapter_engine.modules.layout import is_prunable

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Family:
    """The tensors at one place, one per layer: names in order of depth, and the shape of each."""

    names: tuple[str, ...]
    shape: Shape

    @property
    def place(self) -> str:
        """The names with `*` for the layer, for example `layers.*.ffn.down.weight`."""
        return _place(self.names[0])

    @property
    def size(self) -> int:
        """How many numbers one trial has in it."""
        return len(self.names) * math.prod(self.shape)


@dataclass(frozen=True)
class StackedLayout:
    """Families in the order of their columns. prunable, adapter, total: counts of columns from the
    first; decayed: ranges of columns with weight decay."""

    families: tuple[Family, ...]
    prunable: int
    adapter: int
    total: int
    decayed: tuple[tuple[int, int], ...]

    @staticmethod
    def of(shapes: dict[str, Shape]) -> "StackedLayout":
        """shapes: of the widest trial's tensors, by name."""
        ranks: list[dict[str, list[str]]] = [{} for _ in range(5)]
        for name, shape in shapes.items():
            ranks[_rank(name, shape)].setdefault(_place(name), []).append(name)
        families = [
            [Family(tuple(names), shapes[names[0]]) for names in rank.values()] for rank in ranks
        ]
        sizes = [sum(family.size for family in rank) for rank in families]
        adapter = sum(sizes[:3])
        return StackedLayout(
            families=tuple(family for rank in families for family in rank),
            prunable=sizes[0],
            adapter=adapter,
            total=sum(sizes),
            decayed=((0, sizes[0] + sizes[1]), (adapter, adapter + sizes[3])),
        )

    def split(self, flat: Tensor, families: Sequence[Family]) -> list[Tensor]:
        """Columns of neighbouring families → each one's [K, layers, …]."""
        parts = flat.split([family.size for family in families], 1)
        return [
            part.unflatten(1, (len(family.names), *family.shape))
            for family, part in zip(families, parts, strict=True)
        ]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Each tensor by its name, [K, …], a view of flat [K, total]."""
        return {
            name: view
            for family, part in zip(self.families, self.split(flat, self.families), strict=True)
            for name, view in zip(family.names, part.unbind(1), strict=True)
        }

    @property
    def of_adapter(self) -> tuple[Family, ...]:
        return tuple(family for family in self.families if not _is_head(family.names[0]))

    @property
    def of_head(self) -> tuple[Family, ...]:
        return tuple(family for family in self.families if _is_head(family.names[0]))


def _place(name: str) -> str:
    return re.sub(r"\blayers\.\d+\.", "layers.*.", name)


def _is_head(name: str) -> bool:
    return name.startswith("head.")


def _rank(name: str, shape: Shape) -> int:
    if is_prunable(name):
        return 0
    return (3 if _is_head(name) else 1) + (len(shape) != 2)
