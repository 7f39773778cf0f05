"""What pruners rank by: one number per prunable weight, under the names and in the shapes of a
trial's matrices."""

from torch import Tensor

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
