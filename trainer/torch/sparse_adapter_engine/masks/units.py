"""Units of modules: unit j of module X is row j of X.down.weight [r, …] and column j of X.up.weight
[… , r]; for LoRA, a rank component."""

import torch
from torch import Tensor

from .scores import Masks, Scores, Shapes

_DOWN, _UP = ".down.weight", ".up.weight"


def modules(shapes: Shapes) -> list[str]:
    """Names of the modules whose prunable matrices these are, in their order."""
    return [name.removesuffix(_DOWN) for name in shapes if name.endswith(_DOWN)]


def pair(module: str) -> tuple[str, str]:
    """Names of a module's matrices: down, up."""
    return f"{module}{_DOWN}", f"{module}{_UP}"


def unit_shapes(shapes: Shapes) -> Shapes:
    """(r,) by module."""
    return {module: shapes[pair(module)[0]][:1] for module in modules(shapes)}


def unit_scores(scores: Scores) -> Scores:
    """float64 [r] by module: the sum of each unit's scores."""
    found: Scores = {}
    for module in modules({name: tuple(score.shape) for name, score in scores.items()}):
        down, up = (scores[name].double() for name in pair(module))
        found[module] = down.sum(1) + up.sum(0)
    return found


def spread(values: dict[str, Tensor], shapes: Shapes) -> Scores:
    """Matrices in which every weight of a unit has its unit's value; values: [r] by module."""
    found: Scores = {}
    for module, of_units in values.items():
        down, up = pair(module)
        found[down], found[up] = of_units[:, None].expand(shapes[down]), of_units.expand(shapes[up])
    return {name: found[name] for name in shapes}


def masks_of_units(kept: Masks, shapes: Shapes) -> Masks:
    """Masks by matrix; kept: which units are kept, [r] by module."""
    return {name: mask.to(torch.uint8).contiguous() for name, mask in spread(kept, shapes).items()}


def units_of_masks(masks: Masks) -> Masks:
    """The units that masks by matrix keep: uint8 [r] by module."""
    return {
        module: masks[pair(module)[0]][:, 0]
        for module in modules({name: tuple(mask.shape) for name, mask in masks.items()})
    }
