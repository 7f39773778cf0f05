"""What pruners rank by: one number a prunable weight, by the names and shapes of a trial's
matrices.
"""

from torch import Tensor

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
